// application.h: one application thread of an engine, as the JavaScript half of the package behaves towards its port:
// it stages and flushes runs, drains records into a slab, takes messages at its own pace, acknowledges ends and
// forgets channels. Checks the contract of the records as they come; what becomes of messages it tells the ledger.
// Invariant: it never breaks the contract itself, so whatever is wrong is the engine's.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"
#include "core/port.h"
#include "sim/kernel.h"
#include "sim/ledger.h"
#include "sim/world.h"

namespace tofu {
namespace sim {

class Application final : public Doorbell {
 public:
  /** `number` is this thread's in the whole simulation. */
  Application(World& world, Ledger& ledger, SimKernel& kernel, int engine, int number)
      : world_(world), ledger_(ledger), kernel_(kernel), engine_number_(engine), number_(number) {}
  void attach(Engine* engine);

  /** One thing of many, chosen by chance. */
  void act(const std::vector<std::unique_ptr<Application>>& all);
  /** Takes what is there and brings everything to its regular end; call until nothing moves. */
  void settle_down();
  /** Whether every channel has had its last word. */
  bool is_settled() const;
  /** What is still open, for a message about what hangs. */
  std::string unsettled() const;
  void close_groups();
  /** Drains until there is nothing. */
  void drain_all();
  void flush();
  /** The engine's end: everything posted is lost with it. */
  void expect_end();
  void destroy_engine();
  void detach();
  void check_end(bool balanced);

  void ring() override;
  bool has_posted() const { return port_ != nullptr && port_->queue().has_more(); }
  bool gone() const { return gone_; }
  bool is_owner() const { return port_ != nullptr && port_->is_owner(); }
  bool attached() const { return port_ != nullptr; }
  int engine_number() const { return engine_number_; }
  /** Opens as many channels as there are numbers and says how many. */
  uint32_t exhaust_numbers();

  size_t max_body = 200;

 private:
  /** Ids of updates lie above those of the ledger; the sender stands in the middle. */
  static constexpr uint64_t kUpdateId = uint64_t{1} << 62;
  static constexpr int kSenderShift = 40;

  struct Channel {
    uint32_t number = 0;
    uint32_t generation = 0;
    uint32_t group = 0;
    bool listener = false;
    Life* life = nullptr;
    std::deque<std::string> frames;
    size_t taken = 0;
    bool bye_heard = false;
    bool aborted = false;
    bool over = false;
    bool acknowledged = false;
    bool last = false;  // the engine has told everything
    bool told = false;  // the application has taken the last word
    uint8_t late_status = 0;
    std::vector<std::string> late;
  };
  struct Mail {
    std::string frame;
    Channel* last_of = nullptr;
  };
  struct Group {
    uint32_t id = 0;
    bool closing = false;
    std::deque<Mail> mail;
    std::map<int, uint64_t> updates;  // the last of each sender
  };

  // Posting.
  bool may_post(const Channel& channel) const;
  void post(Group* group, Channel* channel, Application* owner, OpCode op, const std::string& headers, size_t body);
  void stage(const Run& run, const std::string& frame);
  void connect(Application* owner);
  void listen(Application* owner);
  void open(Application* owner, bool listener, const std::string& address);
  void say_bye(Application* owner, Channel* channel);
  void abort(Application* owner, Channel* channel);
  void update(Application* owner);
  std::string address() const;
  void command(Command kind, uint32_t a, uint32_t b, uint32_t c);
  void starve();
  // Receiving.
  bool drain();
  void look();
  void sort(const Record& record, const uint8_t* slab);
  void on_frames(const Record& record, const uint8_t* frames);
  void on_mail(const Record& record, const uint8_t* frames);
  void on_ended(Channel* channel);
  void on_last(const Record& record, Channel* channel);
  bool take(Group* group);
  bool take_frame(Channel* channel);
  void take_last(Channel* channel);
  void acknowledge_end(Channel* channel);
  void close_group(Group* group);

  Channel* find(uint32_t number, uint32_t generation);
  Group* group_of(uint32_t id);
  Group* any_group();
  Channel* any_channel();

  World& world_;
  Ledger& ledger_;
  SimKernel& kernel_;
  const int engine_number_;
  const int number_;
  Engine* engine_ = nullptr;
  Port* port_ = nullptr;
  std::map<uint32_t, Group> groups_;
  std::list<Channel> channels_;  // mail points at them
  std::vector<uint8_t> slab_;
  std::string staging_;
  std::vector<Run> runs_;
  uint64_t next_update_ = 0;
  uint64_t flushed_ = 0;
  uint64_t tagged_ = 0;
  uint64_t brought_back_ = 0;
  bool starved_ = false;  // what cannot be sent may be settled before it comes back
  bool parked_ = false;
  bool gone_ = false;
};

}  // namespace sim
}  // namespace tofu
