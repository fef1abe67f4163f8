// reactor_posts.cc: what application threads post, on its way to the channels: records of the ports' queues, taken one by one.
// Layer: core. Thread: reactor only. Invariant: a record that could not be taken for want of memory stays where it is, has
// noted how far it got, and is tried again before anything behind it.
#include <algorithm>
#include <cstring>
#include <new>

#include "core/connection.h"
#include "core/listener.h"
#include "core/port.h"
#include "core/reactor.h"
#include "core/records.h"
#include "protocol/header.h"
#include "protocol/post_check.h"

namespace tofu {

namespace {
/** Pieces of a port's queue taken before sockets have their turn; each is up to a segment. */
constexpr int kPiecesPerTurn = 8;

bool opens_channel(OpCode op) { return op == OpCode::hello_request || op == OpCode::welcome_request; }

/** The frames from `begin` on that go their way together: a ByeSignal or Welcome alone, others up to a Bye. */
Piece next_piece(uint8_t* begin, uint8_t* end) {
  Piece piece{};
  piece.bytes = begin;
  OpCode first = op_code_of(begin);
  bool alone = first == OpCode::bye_signal || first == OpCode::welcome_request;
  for (uint8_t* frame = begin; frame < end; frame += frame_length(frame)) {
    OpCode op = op_code_of(frame);
    if (op == OpCode::bye_signal && frame != begin) break;
    piece.frames++;
    piece.last = op;
    piece.length += static_cast<uint32_t>(frame_length(frame));
    if (alone || is_bye(op)) break;
  }
  return piece;
}
}  // namespace

void Reactor::drain(Port* port) {
  for (int i = 0; i < kPiecesPerTurn; i++) {
    size_t length = 0;
    uint8_t* bytes = port->queue().peek(&length);
    if (bytes == nullptr) return;
    size_t done = 0;
    while (done < length) {
      auto* header = reinterpret_cast<RecordHeader*>(bytes + done);
      bool taken = true;
      if (header->type == RecordType::run) {
        taken = on_run(port, reinterpret_cast<RunRecord*>(header));
      } else if (header->type == RecordType::block) {
        taken = on_block(port, reinterpret_cast<BlockRecord*>(header));
      } else if (header->type == RecordType::update) {
        taken = on_update(reinterpret_cast<UpdateRecord*>(header));
      } else {
        auto* command = reinterpret_cast<CommandRecord*>(header);
        on_command(port, command->kind, command->a, command->b, command->c);
      }
      if (!taken) {
        memory_short_ = true;
        if (done > 0) port->queue().consume(done);
        return;
      }
      done += header->size;
    }
    port->queue().consume(done);
  }
}

/** false: no memory; the record has noted how far it got. */
bool Reactor::on_run(Port* port, RunRecord* record) {
  uint8_t* begin = record->bytes();
  uint8_t* end = begin + record->run.bytes;
  while (begin + record->offset < end) {
    Piece piece = next_piece(begin + record->offset, end);
    piece.port = port;
    piece.tag = record->run.tag;
    piece.sent = record->sent;
    piece.answers = std::min(record->run.answers, piece.frames);
    record->run.answers -= piece.answers;
    uint32_t behind = record->offset + piece.length;
    if (!on_piece(record->run, op_code_of(piece.bytes), &piece)) {
      record->run.answers += piece.answers;
      record->offset = static_cast<uint32_t>(piece.bytes - begin);
      record->sent = piece.sent;
      return false;
    }
    record->offset = behind;
    record->sent = 0;
  }
  return true;
}

bool Reactor::on_piece(const Run& run, OpCode first, Piece* piece) {
  Channel* channel = find(run.channel, run.generation);
  if (channel == nullptr && !opens_channel(first) && is_announced(run)) {
    early_ = true;
    return false;
  }
  if (first == OpCode::bye_signal) {
    end_answers(run.channel, piece->answers);
    settle(piece->port, piece->tag, 1);
    if (channel != nullptr) channel->abort();
    return true;
  }
  if (channel == nullptr && opens_channel(first)) return start_channel(run, first, piece);
  if (channel == nullptr || channel->is_listener()) {
    Event* block = make_block(*piece);
    if (block == nullptr) return false;
    bounce(run, block);
    return true;
  }
  return static_cast<Connection*>(channel)->post(piece);
}

/** false: it is too early. */
bool Reactor::on_block(Port* port, BlockRecord* record) {
  Event* block = record->block;
  const Run run{block->channel, block->generation, block->length(), block->count, block->tag, block->group, block->answers};
  Channel* channel = find(run.channel, run.generation);
  if (channel == nullptr && is_announced(run)) {
    early_ = true;
    return false;
  }
  record->block = nullptr;
  port->blocks++;
  if (channel == nullptr || channel->is_listener()) bounce(run, block);
  else static_cast<Connection*>(channel)->post(block);
  return true;
}

/** Whether its Hello or Welcome is still to come, from another port than this post. */
bool Reactor::is_announced(const Run& run) {
  const PostEntry& post = shared_.posts[run.channel];
  return post.generation.load(std::memory_order_acquire) == run.generation &&
         post.announcer.load(std::memory_order_relaxed) != nullptr && find_group(run.group) != nullptr;
}

/** Its Hello or Welcome is here, or will never be. */
void Reactor::end_announcement(uint32_t number) {
  Port* announcer = shared_.posts[number].announcer.exchange(nullptr, std::memory_order_relaxed);
  if (announcer != nullptr) announcer->announced.fetch_sub(1, std::memory_order_relaxed);
}

/** The number was handed out, and no channel comes of it. */
void Reactor::give_up_number(uint32_t number) {
  end_announcement(number);
  shared_.posts[number].state.store(static_cast<uint8_t>(PostState::closed), std::memory_order_release);
  release_number(number);
}

/** The port's thread has left, perhaps between a number and its Hello: posts of other threads wait for that. */
void Reactor::withdraw_numbers(Port* port) {
  for (uint32_t number = kFirstChannel; number <= kLastChannel; number++) {
    if (port->announced.load(std::memory_order_relaxed) == 0) return;
    PostEntry& post = shared_.posts[number];
    if (post.announcer.load(std::memory_order_relaxed) != port) continue;
    // A group that is gone took the count of its sockets along.
    if (Group* group = find_group(post.group.load(std::memory_order_relaxed))) {
      group->unstarted.fetch_sub(1, std::memory_order_relaxed);
      socket_gone(group);
    }
    give_up_number(number);
  }
}

bool Reactor::start_channel(const Run& run, OpCode first, Piece* piece) {
  Group* group = find_group(run.group);
  if (group == nullptr) {
    // The group went while this was on its way, and took the count of its sockets along.
    end_answers(run.channel, piece->answers);
    settle(piece->port, piece->tag, piece->frames);
    give_up_number(run.channel);
    return true;
  }
  bool listener = first == OpCode::welcome_request;
  Channel* channel = nullptr;
  if (listener) channel = new (std::nothrow) Listener(*this, group, run.channel, run.generation);
  else channel = new (std::nothrow) Connection(*this, group, run.channel, run.generation);
  Event* block = listener ? make_block(*piece) : nullptr;
  Event* opened = piece->port == group->port ? nullptr : make_event(0);
  bool complete = channel != nullptr && channel->prepare() && (!listener || block != nullptr) &&
                  (piece->port == group->port || opened != nullptr);
  if (complete && !listener) complete = static_cast<Connection*>(channel)->post(piece);
  if (!complete) {
    delete channel;
    if (block != nullptr) drop_block(block);
    if (opened != nullptr) free_event(opened);
    return false;
  }
  group->unstarted.fetch_sub(1, std::memory_order_relaxed);
  end_announcement(run.channel);
  index(channel);
  count(listener ? shared_.counters.listeners : shared_.counters.channels);
  const uint8_t* id = (listener ? block->begin() : piece->bytes) + kAtIdHigh;
  if (opened != nullptr) {
    opened->kind = EventKind::opened;
    opened->group = group->id;
    opened->channel = run.channel;
    opened->generation = run.generation;
    opened->at = read_u32(id);
    opened->end = read_u32(id + 4);
    opened->count = listener ? 1 : 0;
    opened->tag = 1;
    tell(group, opened);
  }
  if (listener) {
    end_answers(run.channel, block);
    static_cast<Listener*>(channel)->start(block);
  } else {
    channel->set_opener(id);
    static_cast<Connection*>(channel)->start_dial();
  }
  return true;
}

/** For a channel that is over and forgotten: the message comes back behind its last word. */
void Reactor::bounce(const Run& run, Event* block) {
  end_answers(run.channel, block);
  Group* group = find_group(run.group);
  if (group == nullptr) {
    settle(block->poster, block->tag, block->count);
    drop_block(block);
    return;
  }
  stamp_returned(block, Status::channel_closed);
  block->kind = EventKind::mail;
  block->group = group->id;
  block->channel = run.channel;
  block->generation = run.generation;
  hand_over(group, block);
}

bool Reactor::on_update(UpdateRecord* record) {
  Group* group = find_group(record->group);
  if (group == nullptr) return true;
  Event* mail = make_event(record->length);
  if (mail == nullptr) return false;
  std::memcpy(mail->bytes(), record->bytes(), record->length);
  mail->end = record->length;
  mail->count = 1;
  mail->kind = EventKind::mail;
  mail->group = group->id;
  tell(group, mail);
  return true;
}

void Reactor::on_command(Port* port, Command kind, uint32_t a, uint32_t b, uint32_t c) {
  if (kind == Command::close_group) return close_group(a);
  if (kind == Command::destroy_engine) {
    if (port->is_owner()) shared_.stop.store(true, std::memory_order_release);
    return;
  }
  if (kind == Command::reclaim) return reclaim(port);
  Channel* channel = find(a, b);
  if (channel == nullptr) return;
  if (kind == Command::end_ack) channel->acknowledge_end();
  else if (kind == Command::forget) forget(channel);
  else if (kind == Command::consumed && !channel->is_listener()) static_cast<Connection*>(channel)->acknowledge(c);
}

}  // namespace tofu
