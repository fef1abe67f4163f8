// connection_receive.cc: what a connection reads: chunks are cut into frames in place, checked, and handed to the group.
// Layer: core. Thread: reactor only. Invariant: bytes are delivered in the order they came, each frame whole and once; a peer holds no
// more memory than its window, one chunk and one partial frame.
#include <cstring>

#include "core/connection.h"
#include "core/port.h"
#include "core/reactor.h"
#include "protocol/framer.h"

namespace tofu {

namespace {
/** Unread bytes of one channel that never wait for others of its group, and what all of a group may have in common. */
constexpr uint32_t kChannelWindow = 64 * 1024;
constexpr uint32_t kBusyChannelWindow = 512 * 1024;
constexpr uint64_t kGroupWindow = 1024 * 1024;
/** Chunks read from one connection before others have their turn. */
constexpr int kReadsPerTurn = 4;

ChannelEvent event_of(OpCode op) {
  if (op == OpCode::hello_request) return ChannelEvent::hello;
  return op == OpCode::bye_request ? ChannelEvent::bye_request : ChannelEvent::bye_response;
}
}  // namespace

void Connection::read() {
  bool more = true;
  for (int i = 0; i < kReadsPerTurn && more && fd_ >= 0 && !paused_ && !hiccup_; i++) {
    if (!read_once(&more)) return;
  }
}

/** One system call. false: the connection is over. `more`: the socket may have more. */
bool Connection::read_once(bool* more) {
  Event* chunk = reactor_.take_chunk(group_->port);
  if (chunk == nullptr) {
    hiccup_ = true;
    reactor_.retry_soon(this);
    update_interest();
    return true;
  }
  if (is_deaf(state_)) forget_partial();
  Slice slices[2];
  int slice_count = 0;
  if (partial_ != nullptr) slices[slice_count++] = {partial_->bytes() + partial_->end, partial_->room()};
  else if (header_have_ > 0) slices[slice_count++] = {header_ + header_have_, kHeaderBytes - header_have_};
  size_t ahead = slice_count == 0 ? 0 : slices[0].length;
  slices[slice_count++] = {chunk->bytes(), chunk->capacity};
  IoResult result = reactor_.sockets().read(fd_, slices, slice_count);
  count(reactor_.counters().readCalls);
  *more = result.bytes == ahead + chunk->capacity;
  if (result.bytes == 0) {
    reactor_.keep_chunk(chunk);
    if (result.error == OsError::again) return true;
    if (result.error == OsError::no_memory) {
      hiccup_ = true;
      reactor_.retry_soon(this);
      update_interest();
      return true;
    }
    // Behind both Byes it is no failure.
    if (!is_deaf(state_)) note_reason(result.error);
    if (result.error == OsError::none) on_eof();
    else lose(send_failed_ ? unsent_status_ : status_of_loss(result.error), false);
    return false;
  }
  moved();
  size_t in_chunk = result.bytes > ahead ? result.bytes - ahead : 0;
  size_t used = 0;
  bool alive = true;
  if (partial_ != nullptr) {
    partial_->end += static_cast<uint32_t>(result.bytes - in_chunk);
    alive = fill_partial(chunk->bytes(), in_chunk, &used);
  } else if (header_have_ > 0) {
    header_have_ = static_cast<uint8_t>(header_have_ + (result.bytes - in_chunk));
    if (header_have_ == kHeaderBytes) {
      header_have_ = 0;
      alive = keep_rest(header_, kHeaderBytes) && fill_partial(chunk->bytes(), in_chunk, &used);
    }
  }
  if (alive && used < in_chunk) alive = cut(&chunk, used, in_chunk);
  if (chunk != nullptr) reactor_.keep_chunk(chunk);
  return alive;
}

void Connection::forget_partial() {
  if (partial_ != nullptr) free_event(partial_);
  partial_ = nullptr;
  header_have_ = 0;
}

/** Adds to the partial frame and delivers it when it is whole. false: the connection is over. */
bool Connection::fill_partial(const uint8_t* bytes, size_t length, size_t* used) {
  *used = length < partial_->room() ? length : partial_->room();
  std::memcpy(partial_->bytes() + partial_->end, bytes, *used);
  partial_->end += static_cast<uint32_t>(*used);
  if (partial_->room() > 0) return true;
  Event* whole = partial_;
  partial_ = nullptr;
  bool alive = cut(&whole, 0, whole->end);
  if (whole != nullptr) free_event(whole);
  return alive;
}

/** Keeps the beginning of a frame that is not whole. Its header, when it is here, is good or ends the connection. */
bool Connection::keep_rest(const uint8_t* bytes, size_t length) {
  if (length < kHeaderBytes) {
    std::memcpy(header_, bytes, length);
    header_have_ = static_cast<uint8_t>(length);
    return true;
  }
  if (kind_of(bytes) == FrameKind::violation) return on_violation();
  partial_ = make_event(frame_length(bytes));
  if (partial_ == nullptr) {
    lose(Status::communication_failed, true);
    return false;
  }
  std::memcpy(partial_->bytes(), bytes, length);
  partial_->end = static_cast<uint32_t>(length);
  return true;
}

/** Cuts [begin, end) of the chunk into frames and delivers them; takes the chunk when it is well used. */
bool Connection::cut(Event** chunk, size_t begin, size_t end) {
  if (is_deaf(state_)) return true;
  uint8_t* bytes = (*chunk)->bytes();
  size_t at = begin;
  uint32_t frames = 0;
  bool bad = false;
  for (;;) {
    Scan scan = scan_frames(bytes + at, end - at, static_cast<uint16_t>(number_));
    if (scan.frames > 0 && next(state_, ChannelEvent::data).action == ChannelAction::violation) {
      bad = true;
      break;
    }
    at += scan.end;
    frames += scan.frames;
    if (scan.next == Scan::Next::incomplete) break;
    OpCode op = op_code_of(bytes + at);
    if (scan.next == Scan::Next::violation || next(state_, event_of(op)).action == ChannelAction::violation) {
      bad = true;
      break;
    }
    if (!on_control(bytes + at)) return false;
    at += scan.length;
    frames++;
    if (is_deaf(state_)) break;
  }
  if (frames > 0 && !deliver(chunk, begin, at, frames)) return false;
  if (bad) return on_violation();
  if (at == end || is_deaf(state_)) return true;
  return keep_rest(bytes + at, end - at);
}

bool Connection::on_control(uint8_t* frame) {
  OpCode op = op_code_of(frame);
  sanitise(frame, static_cast<uint16_t>(number_));
  if (state_ == ChannelState::greeting) {
    Event* opened = make_event(0);
    if (opened == nullptr) {
      lose(Status::communication_failed, true);
      return false;
    }
    set_opener(frame + kAtIdHigh);
    label(opened, EventKind::opened);
    opened->at = read_u32(frame + kAtIdHigh);
    opened->end = read_u32(frame + kAtIdLow);
    timer_.unlink();
    reactor_.tell(group_, opened);
  }
  step(event_of(op));
  if (own_gate()) open_gate();
  return true;
}

bool Connection::deliver(Event** chunk, size_t begin, size_t end, uint32_t frames) {
  size_t size = end - begin;
  Event* event = *chunk;
  if (size * 4 < event->capacity) {
    // A chunk is not kept for a few bytes: a peer could hold a lot of memory with them.
    Event* copy = group_->port->take_event(size);
    if (copy != nullptr) {
      std::memcpy(copy->bytes(), event->bytes() + begin, size);
      event = copy;
      begin = 0;
    }
  }
  if (event == *chunk) *chunk = nullptr;
  label(event, EventKind::frames);
  event->at = static_cast<uint32_t>(begin);
  event->end = static_cast<uint32_t>(begin + size);
  event->count = frames;
  outstanding_ += static_cast<uint32_t>(size);
  group_->outstanding += size;
  reactor_.tell(group_, event);
  if (!may_read()) pause();
  return true;
}

bool Connection::on_violation() {
  reactor_.violation(group_, state_ == ChannelState::greeting ? 0 : number_);
  lose(Status::communication_failed, true);
  return false;
}

bool Connection::may_read() const {
  if (outstanding_ < kChannelWindow) return true;
  return outstanding_ < kBusyChannelWindow && group_->outstanding < kGroupWindow;
}

void Connection::pause() {
  if (paused_) return;
  paused_ = true;
  group_->paused.push(this);
  update_interest();
}

void Connection::try_resume() {
  if (!paused_ || state_ == ChannelState::ended) return;
  bool some = outstanding_ <= kChannelWindow / 2;
  bool much = outstanding_ <= kBusyChannelWindow / 2 && group_->outstanding <= kGroupWindow / 2;
  if (!some && !much) return;
  paused_ = false;
  PausedNode::unlink();
  moved();
  update_interest();
}

void Connection::acknowledge(uint32_t bytes) {
  if (bytes > outstanding_) bytes = outstanding_;
  outstanding_ -= bytes;
  group_->outstanding -= bytes;
  try_resume();
  if (group_->outstanding <= kGroupWindow / 2) group_->paused.each([](Connection* other) { other->try_resume(); });
}

void Connection::on_eof() {
  if (state_ == ChannelState::bye_sent || state_ == ChannelState::finishing) reactor_.sockets().shutdown_write(fd_);
  lose(send_failed_ ? unsent_status_ : Status::peer_disconnected, false);
}

void Connection::on_ready(Interest ready) {
  if (state_ == ChannelState::connecting) {
    OsError error = reactor_.sockets().connect_result(fd_);
    if (error == OsError::none) connected();
    else if (error != OsError::in_progress) try_next(error);
    return;
  }
  if ((ready & kWritable) != 0) {
    blocked_ = false;
    flush();
  }
  if ((ready & kReadable) != 0 && fd_ >= 0 && !paused_) read();
}

void Connection::on_retry() {
  if (unwatched_) {
    update_interest();
    if (unwatched_) {
      if (state_ == ChannelState::connecting) connect_failed(Status::connect_failed, OsError::no_memory);
      else lose(Status::communication_failed, true);
    }
  }
  if (fd_ >= 0 && hiccup_) {
    hiccup_ = false;
    blocked_ = false;
    flush();
    update_interest();
  }
  // The timer is one for all of this: when it is to come soon again, the review waits.
  if (fd_ >= 0 && tcp_ && !hiccup_ && !unwatched_ && state_ != ChannelState::connecting) review();
}

}  // namespace tofu
