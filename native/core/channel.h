// channel.h: what connections and listeners have in common: a number, a group, and a way to end.
// Layer: core. Owner: the Reactor, by number; others hold a number and a generation, never a pointer.
// Thread: reactor only. Invariant: the end has three steps, each told once: ended (no more frames), after the application's
// acknowledgement its tail and the last word, after that forget(), which frees the number.
#pragma once

#include <cstdint>

#include "base/fifo.h"
#include "base/list.h"
#include "core/event.h"
#include "core/timer_wheel.h"
#include "os/poller.h"
#include "os/resolver.h"
#include "protocol/constants.h"
#include "protocol/op_code.h"
#include "protocol/status.h"

namespace tofu {

class Port;
class Reactor;
struct Group;

/** Frames of one port in memory that stays for the call only. */
struct Piece {
  Port* port;
  uint32_t tag;
  uint8_t* bytes;
  uint32_t length;
  uint32_t frames;
  /** How many of them count as unsent answers. */
  uint32_t answers;
  /** Bytes of the first frame that an inline send has put into the kernel. */
  uint32_t sent;
  /** Of the last frame: a piece never goes on behind a Bye. */
  OpCode last;
};

/** Makes posted frames returned ones: origin engine, that status; a HelloRequest becomes the HelloResponse it waits for. */
void stamp_returned(Event* block, Status status);

class Channel : public ListNode {
 public:
  Channel(Reactor& reactor, Group* group, uint32_t number, uint32_t generation, bool is_listener)
      : reactor_(reactor), group_(group), number_(number), generation_(generation), is_listener_(is_listener) {
    timer_.owner = retry_.owner = this;
  }
  virtual ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  /** Allocates what its end needs, so that the end cannot fail. false: no memory. */
  bool prepare();

  virtual void on_ready(Interest ready) = 0;
  virtual void on_timer() = 0;
  virtual void on_retry() = 0;
  virtual void on_resolved(const Resolution& resolution) = 0;
  /** The group is gone: everything stops without a word. The reactor deletes it afterwards. */
  virtual void destroy() = 0;
  /** A ByeSignal. */
  virtual void abort() = 0;
  /** The application has seen the end of it: tail and last word follow. */
  void acknowledge_end();
  /**
   * Keeps a frame block that comes back with the tail; when that is gone already, once the last word was taken. Until then it counts against
   * who has posted it: another thread may go on posting as long as its owner has not looked.
   */
  void bring_back(Event* block, Status status);
  /** The last word was taken: what was posted behind the acknowledgement follows. */
  void hand_over_late();

  uint32_t number() const { return number_; }
  uint32_t generation() const { return generation_; }
  uint64_t token() const { return static_cast<uint64_t>(generation_) << 16 | number_; }
  Group* group() const { return group_; }
  bool is_listener() const { return is_listener_; }
  Timer* retry_timer() { return &retry_; }
  void set_opener(const uint8_t* id);
  bool acknowledged() const { return last_event_ == nullptr; }
  /** Why it ends, if that is an error of the system: the first one counts. */
  void note_reason(OsError error) {
    if (reason_ == OsError::none) reason_ = error;
  }

 protected:
  /** No socket any more: says so to the application. */
  void tell_ended();
  void drop_tail();
  void label(Event* event, EventKind kind) const;
  /** The same for what tells of the end. */
  void label_end(Event* event, EventKind kind) const;

  Reactor& reactor_;
  Group* const group_;
  const uint32_t number_;
  const uint32_t generation_;
  const bool is_listener_;
  uint8_t opener_id_[8] = {};
  Timer timer_;
  Timer retry_;
  Fifo<Event> tail_;
  Event* ended_event_ = nullptr;
  Event* last_event_ = nullptr;
  Status late_status_ = Status::channel_closed;
  OsError reason_ = OsError::none;
};

}  // namespace tofu
