// raw_peer.cc: what the bad peers say.
#include "sim/raw_peer.h"

#include "protocol/header.h"

namespace tofu {
namespace sim {

namespace {
constexpr size_t kMostTalks = 6;
}  // namespace

void RawPeer::listen() {
  for (const char* name : {"uds|/raw", "tcp|9"}) {
    int fd = -1;
    if (kernel_.listen(SimKernel::kRawOwner, name, name[0] == 't', &fd) == OsError::none) listeners_.push_back(fd);
  }
}

void RawPeer::connect() {
  std::vector<std::string> names = kernel_.listening();
  if (names.empty() || talks_.size() >= kMostTalks) return;
  const std::string& name = names[world_.random.below(names.size())];
  if (name == "uds|/raw" || name == "tcp|9") return;
  SocketAddress address;
  size_t bar = name.find('|');
  if (name[0] == 'u') {
    if (!uds_address(name.data() + bar + 1, name.size() - bar - 1, &address)) return;
  } else {
    uint16_t port = static_cast<uint16_t>(std::stoul(name.substr(bar + 1)));
    if (!literal_address("127.0.0.1", 9, port, &address)) return;
  }
  Talk talk;
  talk.client = true;
  OsError error = kernel_.connect(SimKernel::kRawOwner, address, &talk.fd);
  if (talk.fd < 0) return;
  talk.connecting = error == OsError::in_progress;
  talk.reads = world_.random.chance(600);
  talks_.push_back(talk);
}

void RawPeer::accept(int listener) {
  Talk talk;
  if (kernel_.accept(SimKernel::kRawOwner, listener, &talk.fd) != OsError::none) return;
  talk.reads = world_.random.chance(600);
  talks_.push_back(talk);
}

/** Another frame, or something like it. */
void RawPeer::compose(Talk* talk) {
  size_t choice = world_.random.below(100);
  HeaderFields fields;
  fields.channel = static_cast<uint16_t>(world_.random.below(65'536));
  fields.id = ledger_.new_id();
  fields.flags = static_cast<uint8_t>(world_.random.below(3));
  size_t body = world_.random.below(40);
  // Most clients greet; what others begin with is chosen below.
  bool greets = talk->client && !talk->greeted && world_.random.chance(850);
  if (greets) fields.flags = static_cast<uint8_t>(OpCode::hello_request);
  else if (choice < 50) fields.flags |= world_.random.chance(200) ? kMoreBit : uint8_t{0};
  else if (choice < 60) fields.flags = static_cast<uint8_t>(OpCode::hello_response);
  else if (choice < 70) fields.flags = static_cast<uint8_t>(OpCode::bye_request);
  else if (choice < 80) fields.flags = static_cast<uint8_t>(OpCode::bye_response);
  else if (choice < 86) fields.flags = static_cast<uint8_t>(OpCode::hello_request);
  else if (choice < 88) fields.flags = static_cast<uint8_t>(world_.random.between(7, 15));
  else if (choice < 89) fields.flags = static_cast<uint8_t>(OpCode::bye_request) | kMoreBit;
  else if (choice < 90) fields.id = 0;
  else if (choice < 92) talk->done = true;
  else if (choice < 94) body = world_.random.below(65'536);
  talk->greeted = true;
  // Bits that only a local engine may set: nobody believes them.
  if (world_.random.chance(100)) fields.flags |= kOriginBit | 0x40;
  if (world_.random.chance(100)) fields.status = Status::pool_empty;
  fields.body_length = static_cast<uint16_t>(body);
  uint8_t header[kHeaderBytes];
  write_header(header, fields);
  talk->pending.append(reinterpret_cast<const char*>(header), sizeof header);
  talk->pending.append(body, 'x');
  // The last words may be half a frame.
  if (talk->done) talk->pending.resize(world_.random.below(talk->pending.size()));
}

void RawPeer::send(Talk* talk) {
  if (talk->pending.empty()) return;
  Slice slice{&talk->pending[0], talk->pending.size()};
  IoResult result = kernel_.write(SimKernel::kRawOwner, talk->fd, &slice, 1);
  talk->pending.erase(0, result.bytes);
  if (result.error == OsError::peer_gone) talk->done = true;
}

/** false: nothing more will come. */
bool RawPeer::receive(Talk* talk) {
  char bytes[4096];
  Slice slice{bytes, world_.random.between(1, sizeof bytes)};
  IoResult result = kernel_.read(SimKernel::kRawOwner, talk->fd, &slice, 1);
  return result.bytes > 0 || result.error == OsError::again || result.error == OsError::no_memory;
}

void RawPeer::close(size_t index, SimKernel::Closing how) {
  kernel_.close(SimKernel::kRawOwner, talks_[index].fd, how);
  talks_.erase(talks_.begin() + static_cast<ptrdiff_t>(index));
}

void RawPeer::act() {
  if (world_.random.chance(80)) connect();
  if (!listeners_.empty() && world_.random.chance(300)) accept(listeners_[world_.random.below(listeners_.size())]);
  if (talks_.empty()) return;
  size_t index = world_.random.below(talks_.size());
  Talk& talk = talks_[index];
  if (talk.connecting) {
    OsError error = kernel_.connect_result(SimKernel::kRawOwner, talk.fd);
    talk.connecting = error == OsError::in_progress;
    if (error != OsError::none && error != OsError::in_progress) close(index, SimKernel::Closing::plain);
    return;
  }
  int side = 0;
  kernel_.pair_of_fd(talk.fd, &side)->disturbed = true;
  size_t choice = world_.random.below(100);
  if (choice < 55) {
    for (size_t left = world_.random.below(4); left > 0 && !talk.done; left--) compose(&talk);
    send(&talk);
  } else if (choice < 90) {
    if (talk.reads && !receive(&talk) && world_.random.chance(300)) close(index, SimKernel::Closing::plain);
  } else if (choice < 92) {
    kernel_.shutdown_write(SimKernel::kRawOwner, talk.fd);
    talk.done = true;
    talk.pending.clear();
  } else if (choice < 94) {
    close(index, world_.random.chance(500) ? SimKernel::Closing::plain : SimKernel::Closing::reset);
  } else if (choice < 95) {
    talk.reads = !talk.reads;
  }
}

bool RawPeer::settle_down() {
  for (int listener : listeners_) kernel_.close(SimKernel::kRawOwner, listener, SimKernel::Closing::plain);
  listeners_.clear();
  for (size_t i = talks_.size(); i-- > 0;) {
    if (!talks_[i].connecting && receive(&talks_[i]) && world_.random.chance(900)) continue;
    close(i, SimKernel::Closing::plain);
  }
  return talks_.empty();
}

}  // namespace sim
}  // namespace tofu
