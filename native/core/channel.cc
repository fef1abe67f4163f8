// channel.cc: the steps in which every channel ends. Layer: core. Thread: reactor only.
// Invariant: ended, tail and last are told once each, in this order, out of memory that prepare() has set aside.
#include "core/channel.h"

#include <cstring>

#include "core/reactor.h"
#include "core/send_queue.h"
#include "protocol/header.h"

namespace tofu {

void stamp_returned(Event* block, Status status) {
  block->sent = 0;
  uint8_t* frame = block->begin();
  for (uint32_t i = 0; i < block->count; i++, frame += frame_length(frame)) {
    uint8_t flags = frame[kAtFlags];
    if (op_code_of(frame) == OpCode::hello_request) {
      flags = static_cast<uint8_t>((flags & ~kOpCodeMask) | static_cast<uint8_t>(OpCode::hello_response));
    }
    frame[kAtFlags] = flags | kOriginBit;
    frame[kAtStatus] = static_cast<uint8_t>(status);
  }
}

Channel::~Channel() {
  timer_.unlink();
  retry_.unlink();
  drop_tail();
  if (ended_event_ != nullptr) free_event(ended_event_);
  if (last_event_ != nullptr) free_event(last_event_);
}

bool Channel::prepare() {
  ended_event_ = make_event(0);
  last_event_ = make_event(0);
  return ended_event_ != nullptr && last_event_ != nullptr;
}

void Channel::set_opener(const uint8_t* id) { std::memcpy(opener_id_, id, sizeof opener_id_); }

void Channel::label(Event* event, EventKind kind) const {
  event->kind = kind;
  event->group = group_->id;
  event->channel = number_;
  event->generation = generation_;
}

void Channel::label_end(Event* event, EventKind kind) const {
  label(event, kind);
  event->reason = reason_;
}

void Channel::tell_ended() {
  TOFU_ASSERT(ended_event_ != nullptr);
  label(ended_event_, EventKind::ended);
  reactor_.tell(group_, ended_event_);
  ended_event_ = nullptr;
}

void Channel::acknowledge_end() {
  if (ended_event_ != nullptr || last_event_ == nullptr) return;
  while (Event* block = tail_.take()) {
    label_end(block, EventKind::tail);
    reactor_.hand_over(group_, block);
  }
  label_end(last_event_, EventKind::last);
  last_event_->count = static_cast<uint32_t>(late_status_);
  reactor_.tell(group_, last_event_);
  last_event_ = nullptr;
}

void Channel::bring_back(Event* block, Status status) {
  stamp_returned(block, status);
  tail_.push(block);
}

void Channel::hand_over_late() {
  while (Event* block = tail_.take()) {
    label_end(block, EventKind::mail);
    reactor_.hand_over(group_, block);
  }
}

void Channel::drop_tail() {
  while (Event* block = tail_.take()) {
    if (block->poster != nullptr) reactor_.settle(block->poster, block->tag, block->count);
    drop_block(block);
  }
}

}  // namespace tofu
