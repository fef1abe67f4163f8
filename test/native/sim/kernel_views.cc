// kernel_views.cc: the simulated kernel as an engine is given it: sockets, a poller, and names.
#include <cstring>
#include <utility>

#include "sim/kernel.h"

namespace tofu {
namespace sim {

// ── sockets ──

OsError SimSockets::listen_tcp(const SocketAddress& address, int* fd, uint16_t* port) {
  std::string name = name_of(address);
  if (name == "tcp|0") name = "tcp|" + std::to_string(kernel_.next_port++);
  *port = static_cast<uint16_t>(std::stoul(name.substr(name.find('|') + 1)));
  return kernel_.listen(owner_, name, true, fd);
}

OsError SimSockets::listen_uds(const char* path, size_t length, uint32_t, int* fd, FileIdentity* identity) {
  identity->known = true;
  return kernel_.listen(owner_, "uds|" + std::string(path, length), false, fd);
}

void SimSockets::remove_path(const char*, size_t, const FileIdentity&) {}

OsError SimSockets::tune_tcp(int fd, uint32_t) {
  return kernel_.is_watchable(fd, owner_, "tune") ? OsError::none : OsError::other;
}

// ── poller ──

OsError SimPoller::watch(int fd, uint64_t token, Interest before, Interest interest) {
  if (!kernel_.is_watchable(fd, owner_, "watch")) return OsError::other;
  auto found = watched_.find(fd);
  Interest known = found == watched_.end() ? kNoInterest : found->second.interest;
  if (known != before) world_.fail("descriptor %d is watched for %d, and the engine says %d", fd, known, before);
  if (interest != kNoInterest && world_.random.chance(world_.faults.watch)) return OsError::no_memory;
  kernel_.note_watched(fd, interest != kNoInterest);
  if (interest == kNoInterest) watched_.erase(fd);
  else watched_[fd] = {token, interest};
  return OsError::none;
}

int SimPoller::wait(PollEvent* events, int capacity, int timeout_ms) {
  if (!slept_) asked_ms_ = timeout_ms;
  slept_ = false;
  if (timeout_ms != 0 && while_asleep) while_asleep();
  return look(events, capacity);
}

void SimPoller::sleep(int timeout_ms) {
  asked_ms_ = timeout_ms;
  slept_ = true;
  if (while_asleep) while_asleep();
}

int SimPoller::look(PollEvent* events, int capacity) {
  std::vector<PollEvent> ready;
  for (auto& [fd, watched] : watched_) {
    Interest found = kNoInterest;
    if (kernel_.is_readable(fd)) found |= kReadable;
    if (kernel_.is_writable(fd)) found |= kWritable;
    if (world_.random.chance(world_.faults.late)) continue;
    if (world_.random.chance(world_.faults.spurious)) found = kReadable | kWritable;
    found = static_cast<Interest>(found & watched.interest);
    if (found != kNoInterest) ready.push_back({watched.token, found});
  }
  for (size_t i = ready.size(); i > 1; i--) std::swap(ready[i - 1], ready[world_.random.below(i)]);
  int count = 0;
  for (const PollEvent& event : ready) {
    if (count < capacity) events[count++] = event;
  }
  return count;
}

// ── names ──

bool SimResolver::resolve(const char* host, size_t length, uint16_t port, uint64_t ticket, uint64_t /*until_ns*/,
                          ResolutionSink* sink) {
  if (world_.random.chance(world_.faults.resolver)) return false;
  sink->retain();
  lookups_.push_back({std::string(host, length), port, ticket, sink});
  if (world_.random.chance(200)) answer(lookups_.size() - 1);
  return true;
}

void SimResolver::answer(size_t index) {
  Lookup lookup = lookups_[index];
  lookups_.erase(lookups_.begin() + static_cast<ptrdiff_t>(index));
  Resolution resolution;
  resolution.ticket = lookup.ticket;
  if (lookup.host != "none" && !world_.random.chance(world_.faults.resolver)) {
    resolution.count = static_cast<int>(world_.random.between(1, 4));
    for (int i = 0; i + 1 < resolution.count; i++) literal_address("::1", 3, lookup.port, &resolution.addresses[i]);
    literal_address("127.0.0.1", 9, lookup.port, &resolution.addresses[resolution.count - 1]);
  }
  world_.activity++;
  lookup.sink->on_resolved(resolution);
  lookup.sink->release();
}

void SimResolver::step() {
  if (!lookups_.empty() && world_.random.chance(300)) answer(world_.random.below(lookups_.size()));
}

void SimResolver::finish() {
  while (!lookups_.empty()) answer(0);
}

}  // namespace sim
}  // namespace tofu
