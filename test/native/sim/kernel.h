// kernel.h: the simulated kernel: descriptors, listeners, connections, names, and one poller per engine.
// What is written becomes readable at the other end later, piece by piece, when step() moves it along.
// Strict where a kernel is not: a descriptor that is closed twice, used after it was closed or by the wrong engine, or
// closed while it is watched, is a failure of the seed. Thread: one.
// Invariant: a Flow's frames are exactly the whole frames that were written into it, in order.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "os/poller.h"
#include "os/resolver.h"
#include "os/sockets.h"
#include "sim/world.h"

namespace tofu {
namespace sim {

/** A frame as it was written. */
struct WireFrame {
  uint64_t id;
  uint8_t flags;
  uint8_t status;
  uint16_t channel;
  uint32_t length;
  uint64_t sum;  // of what follows the header
  uint64_t end;  // offset in the flow behind it
};

uint64_t checksum(const uint8_t* bytes, size_t length);

/** One direction of a connection. */
struct Flow {
  std::string bytes;      // written and not read
  size_t arrived = 0;     // of these the reader can have
  size_t capacity = 0;
  bool fin = false;       // nothing more will be written
  bool fin_arrived = false;
  bool reset = false;     // the reader will see the connection broken
  bool reset_arrived = false;
  uint64_t read_total = 0;
  uint64_t written_total = 0;
  std::string unparsed;
  bool broken = false;    // what was written is no sequence of frames from here on
  std::vector<WireFrame> frames;
};

/** A connection: side 0 has connected, side 1 accepts. flows[n] is what side n writes. */
struct Pair {
  int number = 0;
  bool tcp = false;
  Flow flows[2];
  bool closed[2] = {};
  /** Something broke it, or will: what was written may be lost. */
  bool disturbed = false;
};

/** Who is told what engines write. */
class WireListener {
 public:
  virtual ~WireListener() = default;
  virtual void on_written(int owner, const Pair& pair, int side, const WireFrame& frame) = 0;
};

class SimKernel {
 public:
  /** Descriptors of no engine: the raw peer's. Its mistakes count as well. */
  static constexpr int kRawOwner = 99;

  explicit SimKernel(World& world) : world_(world) {}
  ~SimKernel();

  /** Something that happens by itself: bytes and connections arrive. */
  void step();
  int open_descriptors(int owner) const;
  /** Whether step() may still do something. */
  bool has_work() const;
  Pair* pair(int number) { return pairs_[static_cast<size_t>(number)]; }
  /** The connection on which that is the first frame of a side. */
  Pair* pair_beginning_with(uint64_t id, int* side);
  Pair* pair_of_fd(int fd, int* side);
  bool is_readable(int fd) const;
  bool is_writable(int fd) const;
  bool is_watchable(int fd, int owner, const char* what);
  void note_watched(int fd, bool watched);
  /** Where somebody listens. */
  std::vector<std::string> listening() const;

  // The calls, for one owner; see Sockets.
  OsError connect(int owner, const SocketAddress& address, int* fd);
  OsError connect_result(int owner, int fd);
  OsError listen(int owner, const std::string& name, bool tcp, int* fd);
  OsError accept(int owner, int listener, int* fd);
  IoResult read(int owner, int fd, const Slice* slices, int count);
  IoResult write(int owner, int fd, const Slice* slices, int count);
  void shutdown_write(int owner, int fd);
  enum class Closing : uint8_t { plain, abort, reset };
  void close(int owner, int fd, Closing how);

  WireListener* wire = nullptr;
  uint16_t next_port = 20'000;

 private:
  enum class Kind : uint8_t { connecting, stream, listener };
  struct Descriptor {
    int owner;
    Kind kind;
    bool watched = false;
    int pair = -1;
    int side = 0;
    std::string name;           // a listener's, or of what is being connected to
    bool tcp = false;
    std::deque<int> backlog;    // pairs
    OsError result = OsError::in_progress;
    bool hangs = false;
    int delay = 0;
  };
  Descriptor* use(int owner, int fd, const char* what);
  int new_fd(int owner, Kind kind);
  Descriptor* listener_of(const std::string& name);
  int make_pair(Descriptor* listener, bool tcp);
  void move(Flow* flow);
  void settle_connect(Descriptor* descriptor);
  void break_pair(Pair* pair);
  void parse(int owner, Pair* pair, int side);
  void note_discarded(const Flow& flow, uint64_t from, uint64_t to);

  World& world_;
  std::map<int, Descriptor> descriptors_;
  std::vector<Pair*> pairs_;
  std::vector<int> free_;
  int fresh_ = 3;
};

/** The name of an address among those of the simulation. */
std::string name_of(const SocketAddress& address);

/** One engine's view of the kernel's sockets. */
class SimSockets final : public Sockets {
 public:
  SimSockets(SimKernel& kernel, int owner) : kernel_(kernel), owner_(owner) {}
  OsError connect(const SocketAddress& address, int* fd) override { return kernel_.connect(owner_, address, fd); }
  OsError connect_result(int fd) override { return kernel_.connect_result(owner_, fd); }
  OsError listen_tcp(const SocketAddress& address, int* fd, uint16_t* port) override;
  OsError listen_uds(const char* path, size_t length, uint32_t mode, int* fd, FileIdentity* identity) override;
  void remove_path(const char* path, size_t length, const FileIdentity& identity) override;
  OsError accept(int listener, int* fd) override { return kernel_.accept(owner_, listener, fd); }
  OsError tune_tcp(int fd, uint32_t keep_alive_ms) override;
  IoResult read(int fd, const Slice* slices, int count) override { return kernel_.read(owner_, fd, slices, count); }
  IoResult write(int fd, const Slice* slices, int count) override { return kernel_.write(owner_, fd, slices, count); }
  void shutdown_write(int fd) override { kernel_.shutdown_write(owner_, fd); }
  void close(int fd) override { kernel_.close(owner_, fd, SimKernel::Closing::plain); }
  void reset(int fd, bool tcp) override {
    kernel_.close(owner_, fd, tcp ? SimKernel::Closing::reset : SimKernel::Closing::abort);
  }

 private:
  SimKernel& kernel_;
  const int owner_;
};

/** Becomes its engine's. */
class SimPoller final : public Poller {
 public:
  SimPoller(World& world, SimKernel& kernel, int owner) : world_(world), kernel_(kernel), owner_(owner) {}
  const char* name() const override { return "simulated"; }
  OsError watch(int fd, uint64_t token, Interest before, Interest interest) override;
  int wait(PollEvent* events, int capacity, int timeout_ms) override;
  bool can_be_shared() const override { return true; }
  void sleep(int timeout_ms) override;
  int look(PollEvent* events, int capacity) override;
  void wake() override { woken_ = true; }

  /** Called while the engine sleeps: what happens meanwhile must wake it. */
  std::function<void()> while_asleep;
  /** What the last wait() was asked for, or the sleep() before it. */
  int asked_ms() const { return asked_ms_; }
  /** Whether wake() was called since take_woken(). */
  bool take_woken() {
    bool woken = woken_;
    woken_ = false;
    return woken;
  }

 private:
  struct Watched {
    uint64_t token;
    Interest interest;
  };
  World& world_;
  SimKernel& kernel_;
  const int owner_;
  std::map<int, Watched> watched_;
  bool woken_ = false;
  int asked_ms_ = -1;
  bool slept_ = false;
};

/** Names: "none" does not resolve; others have one to four addresses, of which only the last is where others look. */
class SimResolver final : public Resolver {
 public:
  explicit SimResolver(World& world) : world_(world) {}
  bool resolve(const char* host, size_t length, uint16_t port, uint64_t ticket, uint64_t until_ns,
               ResolutionSink* sink) override;
  void step();
  bool has_work() const { return !lookups_.empty(); }
  /** Answers everything: also lookups whose engine is gone. */
  void finish();

 private:
  struct Lookup {
    std::string host;
    uint16_t port;
    uint64_t ticket;
    ResolutionSink* sink;
  };
  void answer(size_t index);
  World& world_;
  std::vector<Lookup> lookups_;
};

}  // namespace sim
}  // namespace tofu
