// connection_dial.cc: how a connection comes about: an accepted socket, or a dial: names, addresses in turn, one deadline.
// Layer: core. Thread: reactor only. Invariant: a dial ends exactly once, as connected() or connect_failed().
#include <new>

#include "core/connection.h"
#include "core/reactor.h"
#include "os/clock.h"
#include "protocol/address.h"
#include "protocol/text_headers.h"

namespace tofu {

namespace {
/** Pause before a Unix socket is tried again whose backlog was full; doubles up to the second value. */
constexpr uint32_t kRetryMs = 5;
constexpr uint32_t kMostRetryMs = 100;
/** How often a connection is looked after at most; see review(). */
constexpr uint32_t kLeastReviewMs = 1000;
}  // namespace

void Connection::start_accepted(int fd, bool tcp) {
  state_ = ChannelState::greeting;
  fd_ = fd;
  tcp_ = tcp;
  tune();
  arm(reactor_.options().handshake_timeout_ms);
  update_interest();
}

void Connection::start_dial() {
  dial_ = new (std::nothrow) Dial();
  if (dial_ == nullptr) return connect_failed(Status::connect_failed, OsError::no_memory);
  dial_->ends_at_ms = reactor_.now_ms() + reactor_.options().connect_timeout_ms;
  dial_->retry_ms = kRetryMs;
  const uint8_t* hello = nullptr;
  queue_.each_frame([&](const uint8_t* frame) {
    if (hello == nullptr) hello = frame;
  });
  std::string_view block(reinterpret_cast<const char*>(hello) + kHeaderBytes, headers_length(hello));
  std::string_view text;
  Endpoint endpoint;
  if (!find_field(block, kConnectTo, &text, nullptr, nullptr) || !parse_endpoint(text, &endpoint)) {
    return connect_failed(Status::invalid_address);
  }
  tcp_ = endpoint.tcp;
  SocketAddress* address = &dial_->addresses[0];
  dial_->count = 1;
  if (!endpoint.tcp) {
    if (!uds_address(endpoint.path.data(), endpoint.path.size(), address)) return connect_failed(Status::invalid_address);
    return attempt();
  }
  if (endpoint.port == 0) return connect_failed(Status::invalid_address);
  if (endpoint.host.empty()) endpoint.host = "127.0.0.1";
  if (literal_address(endpoint.host.data(), endpoint.host.size(), endpoint.port, address)) return attempt();
  dial_->resolving = true;
  reactor_.timers().start(&timer_, dial_->ends_at_ms);
  Shared& shared = reactor_.shared();
  if (!shared.kernel.resolver->resolve(endpoint.host.data(), endpoint.host.size(), endpoint.port, token(),
                                       dial_->ends_at_ms * kNsPerMs, reactor_.resolution_sink())) {
    connect_failed(Status::connect_failed, OsError::no_memory);
  }
}

void Connection::on_resolved(const Resolution& resolution) {
  if (dial_ == nullptr || !dial_->resolving) return;
  dial_->resolving = false;
  if (resolution.count == 0) return connect_failed(Status::invalid_address, OsError::unresolved);
  dial_->count = resolution.count;
  for (int i = 0; i < resolution.count; i++) dial_->addresses[i] = resolution.addresses[i];
  attempt();
}

/** Tries the next address; each gets what remains of the time divided by the addresses left. */
void Connection::attempt() {
  uint64_t now = reactor_.now_ms();
  if (now >= dial_->ends_at_ms) return connect_failed(Status::connect_failed, OsError::timed_out);
  uint64_t share = (dial_->ends_at_ms - now) / static_cast<uint64_t>(dial_->count - dial_->next);
  OsError error = reactor_.sockets().connect(dial_->addresses[dial_->next], &fd_);
  if (error == OsError::none) return connected();
  if (error != OsError::in_progress) return try_next(error);
  reactor_.timers().start(&timer_, now + (share > 0 ? share : 1));
  update_interest();
}

void Connection::try_next(OsError error) {
  close_attempt();
  if (!tcp_) {
    bool full = error == OsError::again || error == OsError::no_descriptors || error == OsError::no_memory;
    if (!full) {
      return connect_failed(error == OsError::not_found ? Status::uds_path_not_found : Status::connect_failed, error);
    }
    uint64_t due = reactor_.now_ms() + dial_->retry_ms;
    reactor_.timers().start(&timer_, due < dial_->ends_at_ms ? due : dial_->ends_at_ms);
    dial_->retry_ms = dial_->retry_ms * 2 < kMostRetryMs ? dial_->retry_ms * 2 : kMostRetryMs;
    return;
  }
  if (++dial_->next < dial_->count) attempt();
  else connect_failed(Status::connect_failed, error);
}

void Connection::close_attempt() {
  if (fd_ < 0) return;
  if (interest_ != kNoInterest) reactor_.watch(this, fd_, interest_, kNoInterest);
  interest_ = kNoInterest;
  unwatched_ = false;
  reactor_.sockets().close(fd_);
  fd_ = -1;
}

void Connection::connected() {
  delete dial_;
  dial_ = nullptr;
  timer_.unlink();
  tune();
  step(ChannelEvent::connected);
  if (bye_posted_) {
    queue_.each_frame([&](const uint8_t* frame) {
      OpCode op = op_code_of(frame);
      if (is_bye(op)) step(op == OpCode::bye_request ? ChannelEvent::post_bye : ChannelEvent::post_answer);
    });
  }
  reactor_.mark_dirty(this);
  update_interest();
}

void Connection::connect_failed(Status status, OsError reason) {
  note_reason(reason);
  close_attempt();
  lose(status, false);
}

void Connection::on_timer() {
  if (state_ == ChannelState::connecting) {
    if (dial_->resolving) connect_failed(Status::connect_failed, OsError::timed_out);
    else if (fd_ >= 0) try_next(OsError::timed_out);
    else attempt();
    return;
  }
  if (state_ == ChannelState::ended) return;
  uint64_t idle = reactor_.now_ms() - moved_at_ms_;
  if (state_ != ChannelState::greeting && (paused_ || idle < timer_ms_)) {
    reactor_.timers().start(&timer_, reactor_.now_ms() + (paused_ ? timer_ms_ : timer_ms_ - idle));
    return;
  }
  lose(send_failed_ ? unsent_status_ : Status::channel_closed, false);
}

void Connection::tune() {
  if (!tcp_) return;
  reactor_.sockets().tune_tcp(fd_, reactor_.options().keep_alive_ms);
  review();
}

/** A peer that does not read is not dead: from time to time the kernel's limit for unsent bytes is looked at again. */
void Connection::review() {
  uint32_t keep_alive_ms = reactor_.options().keep_alive_ms;
  reactor_.sockets().review_tcp(fd_, keep_alive_ms);
  reactor_.timers().start(&retry_, reactor_.now_ms() + (keep_alive_ms > kLeastReviewMs ? keep_alive_ms : kLeastReviewMs));
}

}  // namespace tofu
