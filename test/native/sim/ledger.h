// ledger.h: the oracle. Knows every message that was posted and what may become of it, and is told what becomes of it.
// Fed from three places: applications (what they post and get), and the simulated kernel (what engines write).
// Invariant checked: a post is written exactly once, or comes back exactly once, or went with its group; in order, per
// channel and posting thread; what an application receives is what the other side wrote, from the first frame on,
// without a gap.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>

#include "protocol/header.h"
#include "sim/kernel.h"
#include "sim/world.h"

namespace tofu {
namespace sim {

/** One life of a channel number in one engine. */
struct Life {
  int engine = 0;
  uint32_t channel = 0;
  uint32_t generation = 0;
  uint32_t group = 0;
  bool listener = false;
  uint64_t opener = 0;  // id of its Hello or Welcome
  int pair = -1;
  int side = 0;
  size_t received = 0;  // frames the application has taken
  bool bye_written = false;
  bool bye_received = false;
  bool last_told = false;
  bool dropped = false;  // its group or engine was destroyed
  /** What happened to it may lose what was written. */
  bool disturbed = false;
  struct Poster {
    uint32_t posted = 0;
    uint32_t written = 0;
    uint32_t returned = 0;  // the last that came back; 0: none
    uint32_t came_back = 0;
  };
  std::map<int, Poster> posters;
};

struct Post {
  int poster = 0;
  uint32_t number = 0;  // among those of its poster on its channel
  OpCode op = OpCode::request;
  uint8_t flags = 0;
  uint32_t length = 0;
  uint64_t sum = 0;
  Life* life = nullptr;
  bool written = false;
  bool returned = false;
};

class Ledger final : public WireListener {
 public:
  explicit Ledger(World& world, SimKernel& kernel) : world_(world), kernel_(kernel) {}

  uint64_t new_id() { return next_id_++; }
  Life* open(int engine, uint32_t group, uint32_t channel, uint32_t generation, bool listener, uint64_t opener);
  /** The group is destroyed: what was posted to it may vanish. */
  void drop_group(int engine, uint32_t group);
  Life* find(int engine, uint32_t channel, uint32_t generation);
  Post* post_of(uint64_t id);
  void on_posted(int poster, Life* life, const uint8_t* frame);
  void on_written(int owner, const Pair& pair, int side, const WireFrame& frame) override;
  /** The application took a received frame of the channel. */
  void on_received(Life* life, const uint8_t* frame);
  /** A message came back to `receiver`. */
  void on_returned(int engine, uint32_t channel, uint32_t generation, const uint8_t* frame);
  /** Everything is over: whether every post has its outcome. */
  void check_outcomes();

 private:
  void check_same(const Post& post, const uint8_t* frame, const char* what);

  World& world_;
  SimKernel& kernel_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Life> lives_;
  std::unordered_map<uint64_t, Post> posts_;
};

}  // namespace sim
}  // namespace tofu
