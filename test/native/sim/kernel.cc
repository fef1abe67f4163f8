// kernel.cc: the simulated kernel's descriptors and connections.
#include "sim/kernel.h"

#include <algorithm>
#include <cstring>

#include "protocol/header.h"
#include "sim/coverage.h"

namespace tofu {
namespace sim {

namespace {
constexpr size_t kBacklog = 8;
/** From "hardly anything fits" to "everything does". */
constexpr size_t kCapacities[] = {40, 300, 300, 4'000, 64'000, 400'000};

ChannelEvent event_of(uint8_t flags) {
  switch (static_cast<OpCode>(flags & kOpCodeMask)) {
    case OpCode::hello_request: return ChannelEvent::hello;
    case OpCode::bye_request: return ChannelEvent::bye_request;
    case OpCode::bye_response: return ChannelEvent::bye_response;
    default: return ChannelEvent::data;
  }
}
}  // namespace

uint64_t checksum(const uint8_t* bytes, size_t length) {
  uint64_t sum = 0xcbf29ce484222325ULL;
  for (size_t i = 0; i < length; i++) sum = (sum ^ bytes[i]) * 0x100000001b3ULL;
  return sum;
}

std::string name_of(const SocketAddress& address) {
  // The port of both kinds of IP address, and a path, stand behind two bytes.
  constexpr uint32_t kIpv4Length = 16;
  constexpr size_t kEndOfIpv6 = 23;
  bool loopback6 = address.length > kIpv4Length && address.bytes[kEndOfIpv6] == 1;
  if (address.tcp) return (loopback6 ? "tcp6|" : "tcp|") + std::to_string(read_u16(address.bytes + 2));
  std::string path(reinterpret_cast<const char*>(address.bytes) + 2, address.length - 2);
  if (path[0] == '\0') path[0] = '@';
  else path.pop_back();
  return "uds|" + path;
}

SimKernel::~SimKernel() {
  for (Pair* pair : pairs_) delete pair;
}

// ── descriptors ──

SimKernel::Descriptor* SimKernel::use(int owner, int fd, const char* what) {
  auto found = descriptors_.find(fd);
  if (found == descriptors_.end()) {
    world_.fail("descriptor %d is used after it was closed, or never was: %s by %d", fd, what, owner);
    return nullptr;
  }
  if (found->second.owner != owner) {
    world_.fail("descriptor %d of %d is used by %d: %s", fd, found->second.owner, owner, what);
    return nullptr;
  }
  return &found->second;
}

int SimKernel::new_fd(int owner, Kind kind) {
  int fd = fresh_;
  // Numbers are used again at once, as kernels do.
  if (!free_.empty()) {
    fd = free_.back();
    free_.pop_back();
  } else {
    fresh_++;
  }
  Descriptor& descriptor = descriptors_[fd];
  descriptor.owner = owner;
  descriptor.kind = kind;
  world_.activity++;
  return fd;
}

int SimKernel::open_descriptors(int owner) const {
  int open = 0;
  for (auto& [fd, descriptor] : descriptors_) open += descriptor.owner == owner ? 1 : 0;
  return open;
}

SimKernel::Descriptor* SimKernel::listener_of(const std::string& name) {
  for (auto& [fd, descriptor] : descriptors_) {
    if (descriptor.kind == Kind::listener && descriptor.name == name) return &descriptor;
  }
  return nullptr;
}

std::vector<std::string> SimKernel::listening() const {
  std::vector<std::string> names;
  for (auto& [fd, descriptor] : descriptors_) {
    if (descriptor.kind == Kind::listener) names.push_back(descriptor.name);
  }
  return names;
}

void SimKernel::note_watched(int fd, bool watched) { descriptors_[fd].watched = watched; }

bool SimKernel::is_watchable(int fd, int owner, const char* what) { return use(owner, fd, what) != nullptr; }

bool SimKernel::is_readable(int fd) const {
  const Descriptor& descriptor = descriptors_.at(fd);
  if (descriptor.kind == Kind::listener) return !descriptor.backlog.empty();
  if (descriptor.kind == Kind::connecting) return false;
  const Pair& pair = *pairs_[static_cast<size_t>(descriptor.pair)];
  const Flow& flow = pair.flows[1 - descriptor.side];
  return flow.arrived > 0 || flow.fin_arrived || flow.reset_arrived;
}

bool SimKernel::is_writable(int fd) const {
  const Descriptor& descriptor = descriptors_.at(fd);
  if (descriptor.kind == Kind::listener) return false;
  if (descriptor.kind == Kind::connecting) return descriptor.result != OsError::in_progress;
  const Pair& pair = *pairs_[static_cast<size_t>(descriptor.pair)];
  const Flow& flow = pair.flows[descriptor.side];
  return flow.bytes.size() < flow.capacity || pair.flows[1 - descriptor.side].reset_arrived ||
         pair.closed[1 - descriptor.side];
}

Pair* SimKernel::pair_beginning_with(uint64_t id, int* side) {
  for (Pair* pair : pairs_) {
    for (*side = 0; *side < 2; ++*side) {
      const Flow& flow = pair->flows[*side];
      if (!flow.frames.empty() && flow.frames.front().id == id) return pair;
    }
  }
  return nullptr;
}

Pair* SimKernel::pair_of_fd(int fd, int* side) {
  auto found = descriptors_.find(fd);
  if (found == descriptors_.end() || found->second.pair < 0) return nullptr;
  *side = found->second.side;
  return pairs_[static_cast<size_t>(found->second.pair)];
}

// ── connecting ──

int SimKernel::make_pair(Descriptor* listener, bool tcp) {
  auto* pair = new Pair;
  pair->number = static_cast<int>(pairs_.size());
  pair->tcp = tcp;
  for (Flow& flow : pair->flows) flow.capacity = kCapacities[world_.random.below(std::size(kCapacities))];
  pairs_.push_back(pair);
  listener->backlog.push_back(pair->number);
  world_.activity++;
  return pair->number;
}

OsError SimKernel::connect(int owner, const SocketAddress& address, int* fd) {
  *fd = -1;
  std::string name = name_of(address);
  if (world_.random.chance(world_.faults.connect)) {
    constexpr OsError kErrors[] = {OsError::no_descriptors, OsError::no_memory, OsError::unavailable, OsError::other};
    return kErrors[world_.random.below(std::size(kErrors))];
  }
  Descriptor* listener = listener_of(name);
  bool full = listener != nullptr && listener->backlog.size() >= kBacklog;
  bool hangs = world_.random.chance(world_.faults.connect);
  if (!address.tcp) {
    if (listener == nullptr) return world_.random.chance(500) ? OsError::not_found : OsError::refused;
    if (full || hangs) return OsError::again;
  } else if (listener == nullptr && world_.random.chance(300)) {
    return OsError::refused;
  }
  if (listener != nullptr && !full && !hangs && (!address.tcp || world_.random.chance(200))) {
    int pair = make_pair(listener, address.tcp);
    *fd = new_fd(owner, Kind::stream);
    descriptors_[*fd].pair = pair;
    return OsError::none;
  }
  *fd = new_fd(owner, Kind::connecting);
  Descriptor& descriptor = descriptors_[*fd];
  descriptor.name = name;
  descriptor.tcp = true;
  descriptor.hangs = hangs;
  descriptor.delay = static_cast<int>(world_.random.below(6));
  return OsError::in_progress;
}

void SimKernel::settle_connect(Descriptor* descriptor) {
  if (descriptor->hangs || descriptor->result != OsError::in_progress || descriptor->delay-- > 0) return;
  Descriptor* listener = listener_of(descriptor->name);
  world_.activity++;
  if (listener == nullptr) descriptor->result = OsError::refused;
  else if (world_.random.chance(world_.faults.connect)) descriptor->result = OsError::timed_out;
  else if (listener->backlog.size() >= kBacklog) descriptor->delay = 3;
  else {
    descriptor->pair = make_pair(listener, true);
    descriptor->result = OsError::none;
  }
}

OsError SimKernel::connect_result(int owner, int fd) {
  Descriptor* descriptor = use(owner, fd, "connect_result");
  if (descriptor == nullptr || descriptor->kind != Kind::connecting) return OsError::other;
  if (descriptor->result == OsError::none) descriptor->kind = Kind::stream;
  world_.activity++;
  return descriptor->result;
}

OsError SimKernel::listen(int owner, const std::string& name, bool tcp, int* fd) {
  *fd = -1;
  if (listener_of(name) != nullptr) return OsError::in_use;
  if (world_.random.chance(world_.faults.listen)) {
    constexpr OsError kErrors[] = {OsError::no_descriptors, OsError::in_use, OsError::unavailable, OsError::other};
    return kErrors[world_.random.below(std::size(kErrors))];
  }
  *fd = new_fd(owner, Kind::listener);
  descriptors_[*fd].name = name;
  descriptors_[*fd].tcp = tcp;
  return OsError::none;
}

OsError SimKernel::accept(int owner, int listener_fd, int* fd) {
  *fd = -1;
  Descriptor* listener = use(owner, listener_fd, "accept");
  if (listener == nullptr || listener->kind != Kind::listener) return OsError::other;
  if (listener->backlog.empty()) return OsError::again;
  if (world_.random.chance(world_.faults.accept)) {
    constexpr OsError kErrors[] = {OsError::no_descriptors, OsError::no_memory, OsError::again};
    return kErrors[world_.random.below(std::size(kErrors))];
  }
  int pair = listener->backlog.front();
  listener->backlog.pop_front();
  if (world_.random.chance(world_.faults.reset)) {
    break_pair(pairs_[static_cast<size_t>(pair)]);
    pairs_[static_cast<size_t>(pair)]->closed[1] = true;
    return OsError::peer_gone;
  }
  *fd = new_fd(owner, Kind::stream);
  descriptors_[*fd].pair = pair;
  descriptors_[*fd].side = 1;
  return OsError::none;
}

// ── bytes ──

IoResult SimKernel::read(int owner, int fd, const Slice* slices, int count) {
  Descriptor* descriptor = use(owner, fd, "read");
  if (descriptor == nullptr || descriptor->kind != Kind::stream) return {0, OsError::other};
  Pair& pair = *pairs_[static_cast<size_t>(descriptor->pair)];
  Flow& flow = pair.flows[1 - descriptor->side];
  if (world_.random.chance(world_.faults.again)) return {0, OsError::again};
  if (world_.random.chance(world_.faults.no_buffers)) return {0, OsError::no_memory};
  if (flow.reset_arrived && (flow.arrived == 0 || world_.random.chance(300))) {
    world_.activity++;
    return {0, OsError::peer_gone};
  }
  if (flow.arrived == 0 && flow.fin_arrived) {
    world_.activity++;
    if (owner != kRawOwner) coverage().note(reading_state(), ChannelEvent::eof);
    return {0, OsError::none};
  }
  if (flow.arrived == 0) return {0, OsError::again};
  size_t room = 0;
  for (int i = 0; i < count; i++) room += slices[i].length;
  size_t length = std::min(room, flow.arrived);
  if (world_.random.chance(world_.faults.short_io)) length = world_.random.between(1, length);
  size_t copied = 0;
  for (int i = 0; i < count && copied < length; i++) {
    size_t part = std::min(slices[i].length, length - copied);
    std::memcpy(slices[i].data, flow.bytes.data() + copied, part);
    copied += part;
  }
  flow.bytes.erase(0, length);
  flow.arrived -= length;
  if (owner != kRawOwner && is_deaf(reading_state())) note_discarded(flow, flow.read_total, flow.read_total + length);
  flow.read_total += length;
  world_.activity++;
  return {length, OsError::none};
}

/** Frames that a deaf channel reads are discarded without a look at the table: here is what it would have said. */
void SimKernel::note_discarded(const Flow& flow, uint64_t from, uint64_t to) {
  for (auto frame = flow.frames.rbegin(); frame != flow.frames.rend() && frame->end > from; ++frame) {
    if (frame->end <= to) coverage().note(reading_state(), event_of(frame->flags));
  }
}

IoResult SimKernel::write(int owner, int fd, const Slice* slices, int count) {
  Descriptor* descriptor = use(owner, fd, "write");
  if (descriptor == nullptr || descriptor->kind != Kind::stream) return {0, OsError::other};
  int side = descriptor->side;
  Pair& pair = *pairs_[static_cast<size_t>(descriptor->pair)];
  Flow& flow = pair.flows[side];
  if (flow.fin) world_.fail("descriptor %d is written after its shutdown", fd);
  if (world_.random.chance(world_.faults.reset)) break_pair(&pair);
  if (pair.flows[1 - side].reset_arrived) return {0, OsError::peer_gone};
  if (pair.closed[1 - side]) {
    // TCP takes what is written to a peer that is gone, until its answer comes.
    if (!pair.tcp || pair.flows[1 - side].reset) return {0, OsError::peer_gone};
    pair.disturbed = true;
    pair.flows[1 - side].reset = true;
  } else {
    if (world_.random.chance(world_.faults.again)) return {0, OsError::again};
    if (world_.random.chance(world_.faults.no_buffers)) return {0, OsError::no_memory};
  }
  size_t total = 0;
  for (int i = 0; i < count; i++) total += slices[i].length;
  size_t length = std::min(total, flow.capacity - std::min(flow.capacity, flow.bytes.size()));
  if (length == 0) return {0, OsError::again};
  if (world_.random.chance(world_.faults.short_io)) length = world_.random.between(1, length);
  size_t copied = 0;
  for (int i = 0; i < count && copied < length; i++) {
    size_t part = std::min(slices[i].length, length - copied);
    const char* from = static_cast<const char*>(slices[i].data);
    // Behind a reset nothing reaches the reader.
    if (!pair.closed[1 - side] && !flow.reset_arrived) flow.bytes.append(from, part);
    if (!flow.broken) flow.unparsed.append(from, part);
    copied += part;
  }
  flow.written_total += length;
  world_.activity++;
  parse(owner, &pair, side);
  return {length, length < total && world_.random.chance(500) ? OsError::again : OsError::none};
}

void SimKernel::parse(int owner, Pair* pair, int side) {
  Flow& flow = pair->flows[side];
  size_t at = 0;
  while (!flow.broken && flow.unparsed.size() - at >= kHeaderBytes) {
    const auto* frame = reinterpret_cast<const uint8_t*>(flow.unparsed.data()) + at;
    size_t length = frame_length(frame);
    bool valid = message_id(frame) != 0 && op_code_of(frame) <= OpCode::bye_response;
    if (!valid) {
      flow.broken = true;
      if (owner != kRawOwner) world_.fail("engine %d wrote what is no frame on connection %d", owner, pair->number);
    }
    if (!valid || flow.unparsed.size() - at < length) break;
    at += length;
    WireFrame written{message_id(frame), frame[kAtFlags], frame[kAtStatus], channel_of(frame),
                      static_cast<uint32_t>(length), checksum(frame + kHeaderBytes, length - kHeaderBytes), 0};
    written.end = flow.written_total - (flow.unparsed.size() - at);
    flow.frames.push_back(written);
    if (wire != nullptr) wire->on_written(owner, *pair, side, written);
  }
  flow.unparsed.erase(0, at);
}

void SimKernel::shutdown_write(int owner, int fd) {
  Descriptor* descriptor = use(owner, fd, "shutdown");
  if (descriptor == nullptr || descriptor->kind != Kind::stream) return;
  pairs_[static_cast<size_t>(descriptor->pair)]->flows[descriptor->side].fin = true;
  world_.activity++;
}

void SimKernel::break_pair(Pair* pair) {
  pair->disturbed = true;
  pair->flows[0].reset = pair->flows[1].reset = true;
}

void SimKernel::close(int owner, int fd, Closing how) {
  Descriptor* descriptor = use(owner, fd, "close");
  if (descriptor == nullptr) return;
  if (descriptor->watched) world_.fail("descriptor %d is closed while it is watched", fd);
  for (int waiting : descriptor->backlog) {
    break_pair(pairs_[static_cast<size_t>(waiting)]);
    pairs_[static_cast<size_t>(waiting)]->closed[1] = true;
  }
  if (descriptor->pair >= 0) {
    Pair& pair = *pairs_[static_cast<size_t>(descriptor->pair)];
    Flow& out = pair.flows[descriptor->side];
    Flow& in = pair.flows[1 - descriptor->side];
    // Whoever closes with bytes unread tells the peer that these are lost.
    bool loses = !in.bytes.empty();
    if (loses || how != Closing::plain) pair.disturbed = true;
    if (loses || how == Closing::reset) out.reset = true;
    else out.fin = true;
    in.bytes.clear();
    in.arrived = 0;
    pair.closed[descriptor->side] = true;
  }
  descriptors_.erase(fd);
  free_.push_back(fd);
  world_.activity++;
}

// ── time passes ──

void SimKernel::move(Flow* flow) {
  size_t left = flow->bytes.size() - flow->arrived;
  if (flow->reset && !flow->reset_arrived && world_.random.chance(300)) {
    // A reset may overtake what was sent before it.
    flow->bytes.resize(flow->arrived);
    flow->reset_arrived = true;
    world_.activity++;
    return;
  }
  if (left > 0 && world_.random.chance(700)) {
    flow->arrived += world_.random.chance(600) ? left : world_.random.between(1, left);
    world_.activity++;
  }
  if (flow->fin && !flow->fin_arrived && flow->arrived == flow->bytes.size() && world_.random.chance(500)) {
    flow->fin_arrived = true;
    world_.activity++;
  }
}

void SimKernel::step() {
  for (auto& [fd, descriptor] : descriptors_) {
    if (descriptor.kind == Kind::connecting) settle_connect(&descriptor);
  }
  for (Pair* pair : pairs_) {
    for (int side = 0; side < 2; side++) {
      if (!pair->closed[1 - side]) move(&pair->flows[side]);
    }
  }
}

bool SimKernel::has_work() const {
  for (auto& [fd, descriptor] : descriptors_) {
    bool connects = descriptor.kind == Kind::connecting && descriptor.result == OsError::in_progress;
    if (connects && !descriptor.hangs) return true;
  }
  for (const Pair* pair : pairs_) {
    for (int side = 0; side < 2; side++) {
      const Flow& flow = pair->flows[side];
      if (pair->closed[1 - side]) continue;
      if (flow.arrived < flow.bytes.size() || (flow.reset ? !flow.reset_arrived : flow.fin != flow.fin_arrived)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace sim
}  // namespace tofu
