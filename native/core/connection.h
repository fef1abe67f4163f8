// connection.h: one channel with a socket, from Hello to its last word. Executes the state table; decides nothing that the
// table decides. Sends from blocks of bytes, reads into chunks that are cut in place.
// Layer: core. Owner: the Reactor. Thread: reactor only; the gate in Shared says when a posting thread may write instead.
// Invariant: a posted frame is in exactly one place: the send queue, settled (sent), or the tail (comes back).
#pragma once

#include "core/channel.h"
#include "core/send_queue.h"
#include "core/shared.h"
#include "os/sockets.h"
#include "protocol/channel_state.h"

namespace tofu {

/** A connection attempt: the addresses of a name, one after the other, under one deadline. Gone when it is decided. */
struct Dial {
  uint64_t ends_at_ms = 0;
  uint32_t retry_ms = 0;
  int next = 0;
  int count = 0;
  bool resolving = false;
  SocketAddress addresses[kMaxAddresses];
};

/** What comes back when a socket failed like that. */
inline Status status_of_loss(OsError error) {
  return error == OsError::peer_gone ? Status::peer_disconnected : Status::communication_failed;
}

class Connection final : public Channel, public PausedNode, public BrokenNode {
 public:
  Connection(Reactor& reactor, Group* group, uint32_t number, uint32_t generation)
      : Channel(reactor, group, number, generation, false) {}
  ~Connection() override;

  /** Takes an accepted socket. */
  void start_accepted(int fd, bool tcp);
  /** Connects as the HelloRequest in its queue says. */
  void start_dial();

  /** Queues or sends checked frames of one piece; false: no memory, and nothing has changed but what `piece` says. */
  bool post(Piece* piece);
  /** The same for data frames in a block of their own, which it takes. */
  void post(Event* block);
  void abort() override;
  /** What the port has posted and cannot be sent any more is settled, although it has not come back yet. */
  void settle_unsendable(Port* port);
  /** Sends what is queued until the socket is full. */
  void flush();
  void on_ready(Interest ready) override;
  void on_timer() override;
  void on_retry() override;
  void on_resolved(const Resolution& resolution) override;
  void destroy() override;
  /** The application is done with that many bytes. */
  void acknowledge(uint32_t bytes);
  /** Reads on if it may. */
  void try_resume();
  uint32_t outstanding() const { return outstanding_; }
  ChannelState state() const { return state_; }

  Connection* next_dirty = nullptr;
  bool dirty = false;

 private:
  // Sending.
  bool own_gate();
  void open_gate();
  bool can_send() const;
  bool send_directly(Piece* piece);
  void note_failed_write(OsError error);
  bool is_late(uint32_t sent) const;
  void fail_sending(Status status);
  void mark_broken();
  void settle_starving(Port* port);
  // Receiving.
  void read();
  bool read_once(bool* more);
  void forget_partial();
  bool fill_partial(const uint8_t* bytes, size_t length, size_t* used);
  bool keep_rest(const uint8_t* bytes, size_t length);
  bool cut(Event** chunk, size_t begin, size_t end);
  bool on_control(uint8_t* frame);
  bool deliver(Event** chunk, size_t begin, size_t end, uint32_t frames);
  bool on_violation();
  bool may_read() const;
  void pause();
  void on_eof();
  // Connecting.
  void attempt();
  void try_next(OsError error);
  void connected();
  void connect_failed(Status status, OsError reason = OsError::none);
  void close_attempt();
  void tune();
  void review();
  // The end.
  void step(ChannelEvent event);
  void finish();
  void arm(uint32_t ms);
  void lose(Status status, bool reset);
  void bring_back_queue();
  void close_socket(bool reset);
  void update_interest();
  void moved();

  ChannelState state_ = ChannelState::connecting;
  bool tcp_ = false;
  bool bye_posted_ = false;
  bool send_failed_ = false;
  bool blocked_ = false;  // the socket took less than there was
  bool paused_ = false;   // not read: too much is unread
  bool hiccup_ = false;   // not read and not written for a moment
  bool unwatched_ = false;  // the poller refused what it should watch for; tried once more
  uint8_t header_have_ = 0;
  Interest interest_ = kNoInterest;
  Status unsent_status_ = Status::peer_disconnected;
  int fd_ = -1;
  uint32_t outstanding_ = 0;
  uint32_t timer_ms_ = 0;
  uint64_t moved_at_ms_ = 0;
  SendQueue queue_;
  Fifo<Event> late_;  // posted behind our Bye by another thread, while the queue was not empty
  Event* partial_ = nullptr;  // one frame that has not arrived whole: [0, end) is here, capacity is its length
  Dial* dial_ = nullptr;
  uint8_t header_[kHeaderBytes] = {};
};

}  // namespace tofu
