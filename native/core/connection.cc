// connection.cc: sending, receiving, connecting and ending of one connection, by the state table. Layer: core. Thread:
// reactor only; own_gate() comes before each write, so that no posting thread writes meanwhile.
// Invariant: bytes leave in the order in which frames came in, and a frame that was begun is finished before the next
// one.
#include "core/connection.h"

#include <cstring>
#include <new>
#include <thread>

#include "core/port.h"
#include "core/reactor.h"
#include "protocol/header.h"

namespace tofu {

namespace {
/** A piece of this size is worth a write of its own; smaller ones are copied together and leave at the end of the turn. */
constexpr uint32_t kDirectBytes = 2048;

/** Settles runs of frames of one port and tag together. */
class Settling {
 public:
  Settling(Reactor& reactor, uint32_t channel) : reactor_(reactor), channel_(channel) {}
  ~Settling() { done(); }
  /** A frame that is sent, with which so many answers end. */
  void add(Port* port, uint32_t tag, size_t bytes, uint32_t answers) {
    if (port != port_ || tag != tag_) done();
    port_ = port;
    tag_ = tag;
    frames_++;
    bytes_ += bytes;
    answers_ += answers;
  }

 private:
  void done() {
    if (frames_ == 0) return;
    count(reactor_.counters().messagesOut, frames_);
    count(reactor_.counters().bytesOut, bytes_);
    reactor_.end_answers(channel_, answers_);
    reactor_.settle(port_, tag_, frames_);
    answers_ = 0;
    frames_ = 0;
    bytes_ = 0;
  }
  Reactor& reactor_;
  const uint32_t channel_;
  Port* port_ = nullptr;
  uint32_t tag_ = 0;
  uint32_t frames_ = 0;
  uint32_t answers_ = 0;
  size_t bytes_ = 0;
};
}  // namespace

Connection::~Connection() {
  PausedNode::unlink();
  forget_partial();
  delete dial_;
  while (Event* block = queue_.take()) drop_block(block);
  while (Event* block = late_.take()) drop_block(block);
  BrokenNode::unlink();
}

// ── from the application ──

bool Connection::post(Piece* piece) {
  if (is_late(piece->sent) || piece->sent > 0) {
    Event* block = make_block(*piece);
    if (block == nullptr) return false;
    post(block);
    return true;
  }
  bool owned = own_gate();
  bool bye = is_bye(piece->last);
  bool direct = piece->length >= kDirectBytes && !bye;
  if (owned && direct && queue_.empty() && can_send() && !hiccup_) {
    if (send_directly(piece)) {
      open_gate();
      return true;
    }
    if (state_ == ChannelState::ended) return post(piece);
  }
  // Behind a failed send it goes nowhere.
  const uint32_t in_vain = BrokenNode::linked() ? piece->answers : 0;
  piece->answers -= in_vain;
  if (!queue_.append(*piece)) {
    // Nobody may write between the two parts of a frame.
    if (piece->sent > 0) reactor_.gate(number_).state.store(GateState::partial, std::memory_order_release);
    piece->answers += in_vain;
    return false;
  }
  if (bye) {
    bye_posted_ = true;
    step(piece->last == OpCode::bye_request ? ChannelEvent::post_bye : ChannelEvent::post_answer);
  }
  if (can_send() && !blocked_) reactor_.mark_dirty(this);
  else update_interest();
  if (in_vain > 0) {
    reactor_.end_answers(number_, in_vain);
    reactor_.tell_answers_ended(group_);
  }
  settle_starving(piece->port);
  return true;
}

void Connection::post(Event* block) {
  Port* poster = block->poster;
  const bool late = is_late(block->sent);
  if ((late || BrokenNode::linked()) && reactor_.end_answers(number_, block)) reactor_.tell_answers_ended(group_);
  if (late) {
    // What is queued before it may come back as well, and first.
    if (!queue_.empty() || !late_.empty()) late_.push(block);
    else bring_back(block, state_ == ChannelState::ended && !bye_posted_ ? unsent_status_ : Status::channel_closed);
    settle_starving(poster);
    return;
  }
  own_gate();
  if (block->sent > 0) {
    // The rest of a frame that was cut by an inline send, for which everybody else waits.
    queue_.push_front(block);
    reactor_.gate(number_).state.store(GateState::closed, std::memory_order_release);
    blocked_ = true;
  } else {
    queue_.push(block);
  }
  if (can_send() && !blocked_) reactor_.mark_dirty(this);
  else update_interest();
  settle_starving(poster);
}

/** Whether a post cannot go out any more. What was cut is finished even behind a Bye that overtook it in another thread's queue. */
bool Connection::is_late(uint32_t sent) const {
  return state_ == ChannelState::ended || state_ == ChannelState::finishing || (bye_posted_ && sent == 0);
}

void Connection::abort() {
  if (state_ == ChannelState::ended) return;
  if (state_ == ChannelState::connecting) connect_failed(Status::channel_closed);
  else lose(Status::channel_closed, true);
}

// ── sending ──

/** Nobody else writes from now on. false: the rest of a frame that was cut must come first, and is on its way. */
bool Connection::own_gate() {
  std::atomic<GateState>& gate = reactor_.gate(number_).state;
  for (;;) {
    GateState state = gate.load(std::memory_order_acquire);
    if (state == GateState::closed) return true;
    if (state == GateState::partial) return false;
    if (state == GateState::open) {
      if (gate.compare_exchange_weak(state, GateState::closed, std::memory_order_acq_rel)) return true;
    } else {
      std::this_thread::yield();  // a posting thread is in one system call that does not wait
    }
  }
}

void Connection::open_gate() {
  bool sends = state_ == ChannelState::open || state_ == ChannelState::bye_heard;
  if (!sends || bye_posted_ || send_failed_ || hiccup_ || blocked_ || !queue_.empty()) return;
  Gate& gate = reactor_.gate(number_);
  gate.fd = fd_;
  gate.generation = generation_;
  gate.state.store(GateState::open, std::memory_order_release);
}

bool Connection::can_send() const { return fd_ >= 0 && state_ != ChannelState::connecting && !send_failed_; }

/** Writes the piece from where it lies; what is left of it is the caller's. true: nothing is left. */
bool Connection::send_directly(Piece* piece) {
  Slice slice{piece->bytes, piece->length};
  IoResult result = reactor_.sockets().write(fd_, &slice, 1);
  count(reactor_.counters().sendCalls);
  if (result.bytes > 0) moved();
  size_t taken = result.bytes;
  {
    Settling settling(reactor_, number_);
    while (piece->frames > 0 && taken >= frame_length(piece->bytes)) {
      uint32_t length = static_cast<uint32_t>(frame_length(piece->bytes));
      settling.add(piece->port, piece->tag, length, take_answers(&piece->answers, piece->frames));
      piece->bytes += length;
      piece->length -= length;
      piece->frames--;
      taken -= length;
    }
  }
  piece->sent = static_cast<uint32_t>(taken);
  if (piece->frames == 0) return true;
  blocked_ = true;
  if (result.error != OsError::none) note_failed_write(result.error);
  return false;
}

void Connection::note_failed_write(OsError error) {
  if (error == OsError::again) {
    blocked_ = true;
  } else if (error == OsError::no_memory) {
    hiccup_ = true;
    reactor_.retry_soon(this);
  } else {
    if (!is_deaf(state_)) note_reason(error);
    fail_sending(status_of_loss(error));
  }
}

void Connection::flush() {
  if (!can_send() || hiccup_ || !own_gate()) return;
  while (!queue_.empty()) {
    Slice slices[kMaxSlices];
    size_t total = 0;
    int slice_count = queue_.slices(slices, kMaxSlices, &total);
    IoResult result = reactor_.sockets().write(fd_, slices, slice_count);
    count(reactor_.counters().sendCalls);
    if (result.bytes > 0) {
      moved();
      bool bye_out = false;
      {
        Settling settling(reactor_, number_);
        queue_.consume(result.bytes, [&](const Event& block, const uint8_t* frame, uint32_t answers) {
          settling.add(block.poster, block.tag, frame_length(frame), answers);
          if (is_bye(op_code_of(frame))) bye_out = true;
        });
      }
      if (bye_out) step(ChannelEvent::bye_out);
    }
    if (state_ == ChannelState::ended) return;
    blocked_ = result.bytes < total;
    if (result.error != OsError::none) {
      note_failed_write(result.error);
      if (state_ == ChannelState::ended) return;
    }
    if (blocked_) break;
  }
  open_gate();
  update_interest();
}

/** Sending is over, reading is not: what had arrived is delivered first. */
void Connection::fail_sending(Status status) {
  if (send_failed_ || state_ == ChannelState::ended) return;
  send_failed_ = true;
  unsent_status_ = status;
  mark_broken();
  if (is_deaf(state_)) {
    lose(status, false);
    return;
  }
  arm(reactor_.options().close_timeout_ms);
  update_interest();
}

/** What is queued, and what will be, is not sent any more. */
void Connection::mark_broken() {
  if (!BrokenNode::linked()) reactor_.add_broken(this);
  bool some = false;
  auto end = [&](Event* block) { some = reactor_.end_answers(number_, block) || some; };
  // Behind the Byes the rest of a frame may still be on its way out.
  if (send_failed_) queue_.each_block(end);
  late_.each(end);
  tail_.each(end);
  if (some) reactor_.tell_answers_ended(group_);
}

/** The port has posted something. */
void Connection::settle_starving(Port* port) {
  if (BrokenNode::linked() && port != nullptr && port->starves) settle_unsendable(port);
}

void Connection::settle_unsendable(Port* port) {
  auto settle = [&](Event* block) {
    if (block->poster != port) return;
    reactor_.settle(port, block->tag, block->count);
    port->block_gone();
    block->poster = nullptr;
    port->starves = false;
  };
  // Behind the Byes the rest of a frame may still be on its way out.
  if (send_failed_) queue_.each_block(settle);
  late_.each(settle);
  tail_.each(settle);
}

// ── the end ──

/** Runs the state table and does what the row says. */
void Connection::step(ChannelEvent event) {
  Transition row = next(state_, event);
  state_ = row.state;
  if (row.action == ChannelAction::deadline) {
    arm(reactor_.options().close_timeout_ms);
  } else if (row.action == ChannelAction::finish || row.action == ChannelAction::deliver_finish) {
    finish();
  } else if (row.action == ChannelAction::conclude) {
    own_gate();
    reactor_.gate(number_).state.store(GateState::closed, std::memory_order_release);
    unsent_status_ = Status::channel_closed;
    bring_back_queue();
    finish();
  }
}

/** Both Byes are done: nothing more to say, read to the end. */
void Connection::finish() {
  mark_broken();
  reactor_.sockets().shutdown_write(fd_);
  arm(reactor_.options().close_timeout_ms);
  update_interest();
}

/** The close or handshake deadline; a byte that moves starts it again, an unread channel stops it. */
void Connection::arm(uint32_t ms) {
  timer_ms_ = ms;
  moved();
  reactor_.timers().start(&timer_, reactor_.now_ms() + ms);
}

void Connection::moved() { moved_at_ms_ = reactor_.now_ms(); }

/** The channel is over: what is unsent comes back behind what has arrived, then the last word. */
void Connection::lose(Status status, bool reset) {
  if (state_ == ChannelState::ended) return;
  bool unseen = state_ == ChannelState::greeting;
  state_ = next(state_, ChannelEvent::gone).state;
  unsent_status_ = status;
  late_status_ = status;
  close_socket(reset);
  bring_back_queue();
  mark_broken();
  if (unseen) reactor_.forget_unseen(this);
  else tell_ended();
}

void Connection::bring_back_queue() {
  late_status_ = unsent_status_;
  while (Event* block = queue_.take()) bring_back(block, unsent_status_);
  while (Event* block = late_.take()) bring_back(block, Status::channel_closed);
}

void Connection::close_socket(bool reset) {
  timer_.unlink();
  retry_.unlink();
  paused_ = false;
  PausedNode::unlink();
  forget_partial();
  delete dial_;
  dial_ = nullptr;
  own_gate();
  reactor_.gate(number_).state.store(GateState::closed, std::memory_order_release);
  if (fd_ >= 0) {
    if (interest_ != kNoInterest) reactor_.watch(this, fd_, interest_, kNoInterest);
    if (reset) reactor_.sockets().reset(fd_, tcp_);
    else reactor_.sockets().close(fd_);
    fd_ = -1;
    interest_ = kNoInterest;
    unwatched_ = false;
  }
  reactor_.counters().channels.fetch_sub(1, std::memory_order_relaxed);
  reactor_.socket_gone(group_);
}

void Connection::destroy() {
  group_->outstanding -= outstanding_;
  outstanding_ = 0;
  if (state_ != ChannelState::ended) {
    state_ = ChannelState::ended;
    close_socket(true);
  }
  while (Event* block = queue_.take()) {
    reactor_.end_answers(number_, block);
    if (block->poster != nullptr) reactor_.settle(block->poster, block->tag, block->count);
    drop_block(block);
  }
  tail_.append(late_);
  drop_tail();
}

void Connection::update_interest() {
  if (fd_ < 0) return;
  Interest interest = kNoInterest;
  if (state_ == ChannelState::connecting) {
    interest = kWritable;
  } else if (!hiccup_) {
    if (!paused_) interest |= kReadable;
    if (blocked_ && !queue_.empty() && !send_failed_) interest |= kWritable;
  }
  unwatched_ = interest != interest_ && reactor_.watch(this, fd_, interest_, interest) != OsError::none;
  // Not the end at once: whoever called is in the middle of something, and memory may be there again soon.
  if (unwatched_) reactor_.retry_soon(this);
  else interest_ = interest;
}

}  // namespace tofu
