// listener.h: one listening channel: from its WelcomeRequest to its last word. Accepted connections live on without it.
// Layer: core. Owner: the Reactor. Thread: reactor only.
// Invariant: the WelcomeRequest is answered exactly once, as WelcomeResponse, before the last word.
#pragma once

#include "core/channel.h"
#include "core/shared.h"
#include "os/sockets.h"

namespace tofu {

class Listener final : public Channel, public PausedNode {
 public:
  Listener(Reactor& reactor, Group* group, uint32_t number, uint32_t generation)
      : Channel(reactor, group, number, generation, true) {}
  ~Listener() override;

  /** Binds and listens; takes the block with the WelcomeRequest. */
  void start(Event* welcome);
  void abort() override;
  void on_ready(Interest ready) override;
  void on_timer() override;
  void on_retry() override {}
  void on_resolved(const Resolution& resolution) override;
  void destroy() override;
  /** A channel number is free again. */
  void on_number() { update_interest(kReadable); }

 private:
  void listen_tcp(const SocketAddress* addresses, int count, bool try_next);
  void listening(uint16_t port);
  void respond(Status status);
  void end(Status status, OsError reason = OsError::none);
  void close_socket();
  void on_accept_error(OsError error);
  void update_interest(Interest interest);

  bool ended_ = false;
  bool failing_ = false;  // an episode of failed accepts goes on
  Interest interest_ = kNoInterest;
  int fd_ = -1;
  uint16_t asked_port_ = 0;
  uint32_t pause_ms_ = 0;
  Event* welcome_ = nullptr;
  FileIdentity identity_;
  uint16_t path_length_ = 0;
  bool tcp_ = false;
  char path_[128] = {};
};

}  // namespace tofu
