// raw_peer.h: peers that are no engines: they speak the wire protocol badly, slowly, half or not at all, and hang up
// when they like. Thread: one. Uses the simulated kernel directly. Invariant: after settle_down() has returned true it
// has no descriptor left.
#pragma once

#include <string>
#include <vector>

#include "sim/kernel.h"
#include "sim/ledger.h"
#include "sim/world.h"

namespace tofu {
namespace sim {

class RawPeer {
 public:
  RawPeer(World& world, Ledger& ledger, SimKernel& kernel) : world_(world), ledger_(ledger), kernel_(kernel) {}
  void listen();
  void act();
  /** Hangs up in good order; true: everything is closed. */
  bool settle_down();

 private:
  struct Talk {
    int fd = -1;
    bool client = false;
    bool connecting = false;
    bool greeted = false;
    bool reads = true;
    bool done = false;  // says nothing more
    std::string pending;
  };
  void connect();
  void accept(int listener);
  void compose(Talk* talk);
  void send(Talk* talk);
  bool receive(Talk* talk);
  void close(size_t index, SimKernel::Closing how);

  World& world_;
  Ledger& ledger_;
  SimKernel& kernel_;
  std::vector<int> listeners_;
  std::vector<Talk> talks_;
};

}  // namespace sim
}  // namespace tofu
