// ledger.cc: what may become of a post, checked as it happens.
#include "sim/ledger.h"

#include <algorithm>
#include <cinttypes>

namespace tofu {
namespace sim {

namespace {
bool is_legal_return(uint8_t status) {
  switch (static_cast<Status>(status)) {
    case Status::channel_closed:
    case Status::peer_disconnected:
    case Status::communication_failed:
    case Status::connect_failed:
    case Status::invalid_address:
    case Status::uds_path_not_found:
    case Status::listen_failed: return true;
    default: return false;
  }
}
/** What the engine consumes: neither written nor returned. */
bool is_order(OpCode op) { return op == OpCode::bye_signal; }
}  // namespace

Life* Ledger::open(int engine, uint32_t group, uint32_t channel, uint32_t generation, bool listener,
                   uint64_t opener) {
  uint64_t key = static_cast<uint64_t>(engine) << 56 | static_cast<uint64_t>(generation) << 16 | channel;
  auto [at, fresh] = lives_.try_emplace(key);
  if (!fresh) world_.fail("channel %u of engine %d lives twice as generation %u", channel, engine, generation);
  Life* life = &at->second;
  life->engine = engine;
  life->group = group;
  life->channel = channel;
  life->generation = generation;
  life->listener = listener;
  life->opener = opener;
  return life;
}

void Ledger::drop_group(int engine, uint32_t group) {
  for (auto& [key, life] : lives_) {
    if (life.engine == engine && life.group == group) life.dropped = true;
  }
}

Life* Ledger::find(int engine, uint32_t channel, uint32_t generation) {
  uint64_t key = static_cast<uint64_t>(engine) << 56 | static_cast<uint64_t>(generation) << 16 | channel;
  auto found = lives_.find(key);
  return found == lives_.end() ? nullptr : &found->second;
}

Post* Ledger::post_of(uint64_t id) {
  auto found = posts_.find(id);
  return found == posts_.end() ? nullptr : &found->second;
}

void Ledger::on_posted(int poster, Life* life, const uint8_t* frame) {
  Post& post = posts_[message_id(frame)];
  post.poster = poster;
  post.op = op_code_of(frame);
  post.flags = frame[kAtFlags];
  post.length = static_cast<uint32_t>(frame_length(frame));
  post.sum = checksum(frame + kHeaderBytes, frame_length(frame) - kHeaderBytes);
  post.life = life;
  if (!is_order(post.op)) post.number = ++life->posters[poster].posted;
}

void Ledger::on_written(int owner, const Pair& pair, int side, const WireFrame& frame) {
  if (owner == SimKernel::kRawOwner) return;
  Post* post = post_of(frame.id);
  if (post == nullptr) {
    world_.fail("engine %d wrote message %" PRIu64 " that nobody posted", owner, frame.id);
    return;
  }
  Life* life = post->life;
  Life::Poster& poster = life->posters[post->poster];
  world_.log("engine %d channel %u.%u writes %" PRIu64 " (%d, number %u of poster %d)", owner, life->channel,
             life->generation, frame.id, frame.flags & kOpCodeMask, post->number, post->poster);
  if (post->written) world_.fail("message %" PRIu64 " is written twice", frame.id);
  if (post->returned) world_.fail("message %" PRIu64 " is written although it came back", frame.id);
  if (frame.flags != post->flags || frame.length != post->length || frame.sum != post->sum || frame.status != 0) {
    world_.fail("message %" PRIu64 " is not written as it was posted", frame.id);
  }
  if (life->engine != owner || frame.channel != life->channel) {
    world_.fail("message %" PRIu64 " of channel %u is written for channel %u", frame.id, life->channel, frame.channel);
  }
  if (life->pair < 0) {
    life->pair = pair.number;
    life->side = side;
  } else if (life->pair != pair.number || life->side != side) {
    world_.fail("message %" PRIu64 " is written to another connection than its channel's", frame.id);
  }
  if (life->bye_written) world_.fail("message %" PRIu64 " is written behind a Bye", frame.id);
  if (post->number != poster.written + 1 || poster.returned > 0) {
    world_.fail("order: message %" PRIu64 ", number %u of poster %d on channel %u.%u, is written after number %u%s",
                frame.id, post->number, post->poster, life->channel, life->generation, poster.written,
                poster.returned > 0 ? ", and later ones came back" : "");
  }
  poster.written = post->number;
  post->written = true;
  if (is_bye(post->op)) life->bye_written = true;
}

void Ledger::check_same(const Post& post, const uint8_t* frame, const char* what) {
  size_t length = frame_length(frame);
  bool rewritten = post.op == OpCode::welcome_request;  // its address may have another port
  if (!rewritten && (length != post.length || checksum(frame + kHeaderBytes, length - kHeaderBytes) != post.sum)) {
    world_.fail("message %" PRIu64 " is not %s as it was posted", message_id(frame), what);
  }
  OpCode expected = post.op == OpCode::hello_request     ? OpCode::hello_response
                    : post.op == OpCode::welcome_request ? OpCode::welcome_response
                                                         : post.op;
  if (op_code_of(frame) != expected || (frame[kAtFlags] & kMoreBit) != (post.flags & kMoreBit)) {
    world_.fail("message %" PRIu64 " is %s as another kind of message", message_id(frame), what);
  }
}

void Ledger::on_returned(int engine, uint32_t channel, uint32_t generation, const uint8_t* frame) {
  uint64_t id = message_id(frame);
  Post* post = post_of(id);
  if (post == nullptr) {
    world_.fail("message %" PRIu64 " came back and was never posted", id);
    return;
  }
  Life* life = post->life;
  world_.log("engine %d channel %u.%u returns %" PRIu64 " (number %u of poster %d) with %s", engine, channel,
             generation, id, post->number, post->poster, status_name(raw_to_status(frame[kAtStatus])));
  if (life->engine != engine || life->channel != channel || life->generation != generation) {
    world_.fail("message %" PRIu64 " came back to another channel", id);
  }
  if (post->written) world_.fail("message %" PRIu64 " came back although it is written", id);
  if (post->returned) world_.fail("message %" PRIu64 " came back twice", id);
  if (is_order(post->op)) world_.fail("order %" PRIu64 " came back", id);
  if ((frame[kAtFlags] & kOriginBit) == 0) world_.fail("message %" PRIu64 " came back without the engine's origin", id);
  check_same(*post, frame, "returned");
  bool welcomed = post->op == OpCode::welcome_request && frame[kAtStatus] == 0;
  if (!welcomed && !is_legal_return(frame[kAtStatus])) {
    world_.fail("message %" PRIu64 " came back with status %d", id, frame[kAtStatus]);
  }
  Life::Poster& poster = life->posters[post->poster];
  uint32_t before = std::max(poster.written, poster.returned);
  if (post->number != before + 1) {
    world_.fail("order: message %" PRIu64 ", number %u of poster %d on channel %u.%u, came back after number %u", id,
                post->number, post->poster, channel, generation, before);
  }
  poster.returned = post->number;
  poster.came_back++;
  post->returned = true;
}

void Ledger::on_received(Life* life, const uint8_t* frame) {
  uint64_t id = message_id(frame);
  if (life->pair < 0) {
    // The channel is known by what it receives first: a Hello, or what a server says, maybe before it got ours.
    Pair* found = kernel_.pair_beginning_with(id, &life->side);
    if (found == nullptr) {
      world_.fail("channel %u.%u of engine %d begins with %" PRIu64 ", with which no connection begins", life->channel,
                  life->generation, life->engine, id);
      return;
    }
    life->pair = found->number;
    life->side = 1 - life->side;
  }
  const Flow& flow = kernel_.pair(life->pair)->flows[1 - life->side];
  if (life->bye_received) world_.fail("message %" PRIu64 " is received behind the peer's Bye", id);
  if (life->received >= flow.frames.size()) {
    world_.fail("message %" PRIu64 " is received and was not written", id);
    return;
  }
  const WireFrame& expected = flow.frames[life->received++];
  size_t length = frame_length(frame);
  world_.log("engine %d channel %u.%u receives %" PRIu64, life->engine, life->channel, life->generation, id);
  if (expected.id != id) {
    world_.fail("order: channel %u.%u of engine %d received %" PRIu64 " where %" PRIu64 " was written", life->channel,
                life->generation, life->engine, id, expected.id);
  } else if (expected.length != length || expected.sum != checksum(frame + kHeaderBytes, length - kHeaderBytes)) {
    world_.fail("message %" PRIu64 " is not received as it was written", id);
  } else if (frame[kAtFlags] != (expected.flags & kWireMask) || frame[kAtStatus] != 0 ||
             channel_of(frame) != life->channel) {
    world_.fail("the header of message %" PRIu64 " is not made local", id);
  }
  if (is_bye(op_code_of(frame))) life->bye_received = true;
}

void Ledger::check_outcomes() {
  for (auto& [key, life] : lives_) {
    if (life.dropped) continue;
    if (!life.last_told) {
      world_.fail("channel %u.%u of engine %d has no last word", life.channel, life.generation, life.engine);
    }
    for (auto& [port, poster] : life.posters) {
      if (poster.written + poster.came_back != poster.posted) {
        world_.fail("channel %u.%u of engine %d: %u were posted by %d, %u written, %u came back", life.channel,
                    life.generation, life.engine, poster.posted, port, poster.written, poster.came_back);
      }
    }
    if (!world_.ideal || life.disturbed || life.listener) continue;
    if (life.pair < 0 || kernel_.pair(life.pair)->disturbed) continue;
    const Pair* pair = kernel_.pair(life.pair);
    const Flow& flow = pair->flows[1 - life.side];
    if (life.received != flow.frames.size()) {
      world_.fail("channel %u.%u of engine %d received %zu of %zu messages although nothing went wrong", life.channel,
                  life.generation, life.engine, life.received, flow.frames.size());
    }
  }
}

}  // namespace sim
}  // namespace tofu
