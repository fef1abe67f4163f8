// send_queue.cc: blocks of posted frames. Layer: core. Thread: reactor only.
// Invariant: all frames of a block are of one port and one tag, so that they are settled with one call.
#include "core/send_queue.h"

#include <cstring>

#include "core/port.h"

namespace tofu {

namespace {
/** Small pieces share blocks of this size: a connection that is blocked gets many of them. */
constexpr size_t kSharedBlockBytes = 4096;

void add(Event* block, const Piece& piece) {
  std::memcpy(block->bytes() + block->end, piece.bytes, piece.length);
  block->end += piece.length;
  block->count += piece.frames;
  block->answers += piece.answers;
}
}  // namespace

Event* make_block(const Piece& piece) {
  Event* block = make_event(piece.length > kSharedBlockBytes ? piece.length : kSharedBlockBytes);
  if (block == nullptr) return nullptr;
  block->poster = piece.port;
  block->tag = piece.tag;
  block->sent = piece.sent;
  piece.port->blocks++;
  add(block, piece);
  return block;
}

void drop_block(Event* block) {
  if (block->poster != nullptr) block->poster->block_gone();
  free_event(block);
}

bool SendQueue::append(const Piece& piece) {
  Event* back = blocks_.back();
  if (back != nullptr && back->poster == piece.port && back->tag == piece.tag && back->room() >= piece.length) {
    add(back, piece);
    return true;
  }
  Event* block = make_block(piece);
  if (block == nullptr) return false;
  blocks_.push(block);
  return true;
}

int SendQueue::slices(Slice* out, int max, size_t* total) const {
  int count = 0;
  *total = 0;
  for (Event* block = blocks_.front(); block != nullptr && count < max; block = block->next) {
    out[count].data = block->begin() + block->sent;
    out[count].length = block->length() - block->sent;
    *total += out[count++].length;
  }
  return count;
}

}  // namespace tofu
