// listener.cc: binding, accepting and the end of a listener. Layer: core. Thread: reactor only.
// Invariant: a listener that cannot accept does not stay in the poller's set: it pauses, or waits for a number.
#include "core/listener.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/port.h"
#include "core/reactor.h"
#include "core/send_queue.h"
#include "protocol/address.h"
#include "protocol/header.h"
#include "protocol/text_headers.h"

namespace tofu {

namespace {
/** Connections accepted from one listener before others have their turn. */
constexpr int kAcceptsPerTurn = 64;
/** Pause after an accept for which there was no descriptor or memory; doubles up to the second value. */
constexpr uint32_t kPauseMs = 10;
constexpr uint32_t kMostPauseMs = 1000;

std::string_view headers_of(Event* frame) {
  return {reinterpret_cast<const char*>(frame->begin()) + kHeaderBytes, headers_length(frame->begin())};
}

/** The welcome with another address in its first field of that name, in new memory; null: no memory or no room. */
Event* with_port(Event* welcome, uint16_t port) {
  std::string_view headers = headers_of(welcome);
  std::string_view value;
  size_t at = 0;
  size_t next = 0;
  if (!find_field(headers, kListenOn, &value, &at, &next)) return nullptr;
  size_t host_end = value.rfind('|');
  if (host_end == std::string_view::npos) return nullptr;
  char number[8];
  int digits = std::snprintf(number, sizeof number, "%u", static_cast<unsigned>(port));
  size_t line = kListenOn.size() + 1 + host_end + 1 + static_cast<size_t>(digits) + 2;
  size_t length = headers.size() - (next - at) + line;
  if (length > kMaxTextHeadersBytes) return nullptr;
  const uint8_t* from = welcome->begin();
  size_t body = body_length(from);
  Event* answer = make_event(kHeaderBytes + length + body);
  if (answer == nullptr) return nullptr;
  uint8_t* to = answer->bytes();
  auto put = [&to](const void* bytes, size_t size) {
    std::memcpy(to, bytes, size);
    to += size;
  };
  put(from, kHeaderBytes);
  put(headers.data(), at);
  put(kListenOn.data(), kListenOn.size());
  put(":", 1);
  put(value.data(), host_end + 1);
  put(number, static_cast<size_t>(digits));
  put("\r\n", 2);
  put(headers.data() + next, headers.size() - next);
  put(from + kHeaderBytes + headers.size(), body);
  write_u16(answer->bytes() + kAtHeadersLength, static_cast<uint16_t>(length));
  answer->end = answer->capacity;
  answer->count = 1;
  answer->poster = welcome->poster;
  answer->tag = welcome->tag;
  return answer;
}
}  // namespace

Listener::~Listener() {
  PausedNode::unlink();
  if (welcome_ != nullptr) drop_block(welcome_);
}

void Listener::start(Event* welcome) {
  welcome_ = welcome;
  set_opener(welcome->begin() + kAtIdHigh);
  std::string_view text;
  Endpoint endpoint;
  if (!find_field(headers_of(welcome), kListenOn, &text, nullptr, nullptr) || !parse_endpoint(text, &endpoint)) {
    return end(Status::invalid_address);
  }
  tcp_ = endpoint.tcp;
  if (!endpoint.tcp) {
    SocketAddress address;
    if (endpoint.path.size() > sizeof path_ || !uds_address(endpoint.path.data(), endpoint.path.size(), &address)) {
      return end(Status::invalid_address);
    }
    path_length_ = static_cast<uint16_t>(endpoint.path.size());
    std::memcpy(path_, endpoint.path.data(), endpoint.path.size());
    OsError error = reactor_.sockets().listen_uds(path_, path_length_, reactor_.options().uds_mode, &fd_, &identity_);
    if (error != OsError::none) return end(Status::listen_failed, error);
    return listening(0);
  }
  asked_port_ = endpoint.port;
  SocketAddress addresses[2];
  if (endpoint.host.empty()) {
    literal_address("::", 2, endpoint.port, &addresses[0]);
    literal_address("0.0.0.0", 7, endpoint.port, &addresses[1]);
    return listen_tcp(addresses, 2, true);
  }
  if (literal_address(endpoint.host.data(), endpoint.host.size(), endpoint.port, &addresses[0])) {
    return listen_tcp(addresses, 1, false);
  }
  Shared& shared = reactor_.shared();
  if (!shared.kernel.resolver->resolve(endpoint.host.data(), endpoint.host.size(), endpoint.port, token(),
                                       kNoDeadline, reactor_.resolution_sink())) {
    end(Status::listen_failed, OsError::no_memory);
  }
}

void Listener::on_resolved(const Resolution& resolution) {
  if (ended_ || fd_ >= 0) return;
  if (resolution.count == 0) return end(Status::invalid_address, OsError::unresolved);
  listen_tcp(resolution.addresses, resolution.count, true);
}

void Listener::listen_tcp(const SocketAddress* addresses, int count, bool try_next) {
  OsError error = OsError::none;
  for (int i = 0; i < count; i++) {
    uint16_t port = 0;
    error = reactor_.sockets().listen_tcp(addresses[i], &fd_, &port);
    if (error == OsError::none) return listening(port);
    if (!try_next || error != OsError::unavailable) break;
  }
  end(Status::listen_failed, error);
}

void Listener::listening(uint16_t port) {
  update_interest(kReadable);
  if (ended_) return;
  if (tcp_ && port != asked_port_) {
    Event* answer = with_port(welcome_, port);
    if (answer == nullptr) return end(Status::listen_failed, OsError::no_memory);
    free_event(welcome_);
    welcome_ = answer;
  }
  respond(Status::success);
}

/** Answers the WelcomeRequest, unless it was answered before. */
void Listener::respond(Status status) {
  if (welcome_ == nullptr) return;
  Event* answer = welcome_;
  welcome_ = nullptr;
  uint8_t* frame = answer->begin();
  frame[kAtFlags] = static_cast<uint8_t>((frame[kAtFlags] & ~kOpCodeMask) | static_cast<uint8_t>(OpCode::welcome_response));
  if (status != Status::success) return bring_back(answer, status);
  frame[kAtFlags] |= kOriginBit;
  frame[kAtStatus] = static_cast<uint8_t>(status);
  label(answer, EventKind::mail);
  reactor_.hand_over(group_, answer);
}

void Listener::abort() {
  if (!ended_) end(Status::channel_closed);
}

void Listener::end(Status status, OsError reason) {
  note_reason(reason);
  ended_ = true;
  close_socket();
  respond(status);
  tell_ended();
}

void Listener::close_socket() {
  timer_.unlink();
  PausedNode::unlink();
  if (fd_ >= 0) {
    if (interest_ != kNoInterest) reactor_.watch(this, fd_, interest_, kNoInterest);
    if (!tcp_) reactor_.sockets().remove_path(path_, path_length_, identity_);
    reactor_.sockets().close(fd_);
    fd_ = -1;
    interest_ = kNoInterest;
  }
  reactor_.counters().listeners.fetch_sub(1, std::memory_order_relaxed);
  reactor_.socket_gone(group_);
}

void Listener::destroy() {
  if (!ended_) {
    ended_ = true;
    close_socket();
  }
  if (welcome_ != nullptr) {
    reactor_.settle(welcome_->poster, welcome_->tag, 1);
    drop_block(welcome_);
    welcome_ = nullptr;
  }
  drop_tail();
}

void Listener::on_ready(Interest) {
  for (int i = 0; i < kAcceptsPerTurn && !ended_; i++) {
    if (!reactor_.shared().numbers.access()->available()) {
      // The rest waits in the backlog.
      update_interest(kNoInterest);
      if (!PausedNode::linked()) reactor_.add_stalled(this);
      return;
    }
    int fd = -1;
    OsError error = reactor_.sockets().accept(fd_, &fd);
    if (error == OsError::peer_gone) continue;
    if (error != OsError::none) return on_accept_error(error);
    failing_ = false;
    pause_ms_ = 0;
    if (!reactor_.accept(group_, fd, tcp_)) {
      count(reactor_.counters().acceptFailures);
      reactor_.sockets().close(fd);
    }
  }
}

void Listener::on_accept_error(OsError error) {
  if (error == OsError::again) return;
  // Anything else may last: the listener pauses, or it would be reported readable without end.
  count(reactor_.counters().acceptFailures);
  if (!failing_) reactor_.tell_signal(group_, number_, opener_id_, Status::accept_failed, error);
  failing_ = true;
  pause_ms_ = pause_ms_ == 0 ? kPauseMs : pause_ms_ * 2 < kMostPauseMs ? pause_ms_ * 2 : kMostPauseMs;
  update_interest(kNoInterest);
  reactor_.timers().start(&timer_, reactor_.now_ms() + pause_ms_);
}

void Listener::on_timer() { update_interest(kReadable); }

void Listener::update_interest(Interest interest) {
  if (ended_ || fd_ < 0 || interest == interest_) return;
  const OsError error = reactor_.watch(this, fd_, interest_, interest);
  if (error == OsError::none) {
    interest_ = interest;
  } else if (welcome_ != nullptr) {
    end(Status::listen_failed, error);
  } else {
    // It has listened already: memory may be there again soon.
    reactor_.timers().start(&timer_, reactor_.now_ms() + std::max(pause_ms_, kPauseMs));
  }
}

}  // namespace tofu
