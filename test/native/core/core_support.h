// core_support.h: a small application in C++, as the JavaScript half is one: it posts frames, takes records, answers
// the end of each channel and keeps the books. One App per thread and engine. Invariant: every frame it posted is in
// exactly one book: settled, credited by tag, come back, or still outstanding.
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/counters.h"
#include "core/engine.h"
#include "core/host_frames.h"
#include "core/port.h"
#include "os/os_support.h"
#include "protocol/frames.h"
#include "protocol/header.h"
#include "protocol/post_check.h"
#include "protocol/text_headers.h"

namespace tofu {
namespace test {

using Milliseconds = std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

/** How many entries a folder of /proc/self has: descriptors or threads. */
inline int count_entries(const char* folder) {
  int entries = 0;
  DIR* open = opendir(folder);
  while (const dirent* entry = readdir(open)) entries += entry->d_name[0] != '.' ? 1 : 0;
  closedir(open);
  return entries;
}
inline int open_descriptors() { return count_entries("/proc/self/fd"); }
inline int running_threads() { return count_entries("/proc/self/task"); }

/** Descriptors and threads are as many at the end as they were at the start. */
class Balance {
 public:
  Balance() {
    // A sanitizer starts a thread of its own with the first one.
    std::thread([] {}).join();
    descriptors_ = settled(open_descriptors, -1);
    threads_ = settled(running_threads, -1);
  }
  ~Balance() {
    EXPECT_EQ(settled(open_descriptors, descriptors_), descriptors_);
    EXPECT_EQ(settled(running_threads, threads_), threads_);
  }

 private:
  /** A thread that was joined may be listed for another moment: looks until it is as expected, or does not change. */
  static int settled(int (*count)(), int expected) {
    int seen = count();
    for (int same = 0; seen != expected && same < 1000; same++) {
      std::this_thread::yield();
      int now = count();
      if (now != seen) same = 0;
      seen = now;
    }
    return seen;
  }

  int descriptors_;
  int threads_;
};

/** Counts rings, and lets a thread wait for one. */
class Bell final : public Doorbell {
 public:
  void ring() override {
    std::lock_guard<std::mutex> lock(mutex_);
    rings_++;
    rung_.notify_all();
  }
  int rings() {
    std::lock_guard<std::mutex> lock(mutex_);
    return rings_;
  }
  /** Waits until there were more rings than `seen`; false: the deadline has passed. */
  bool wait_beyond(int seen) {
    std::unique_lock<std::mutex> lock(mutex_);
    return rung_.wait_for(lock, Milliseconds(kDeadlineMs), [&] { return rings_ > seen; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable rung_;
  int rings_ = 0;
};

struct ChannelId {
  uint32_t number = 0;
  uint32_t generation = 0;
  bool operator<(const ChannelId& other) const {
    return number != other.number ? number < other.number : generation < other.generation;
  }
  bool operator==(const ChannelId& other) const { return number == other.number && generation == other.generation; }
};

/** A frame that was taken, and the record it came with. */
struct Taken {
  EventKind kind;
  uint32_t group;
  std::string frame;
  OpCode op_code() const { return op_code_of(bytes_of(frame)); }
  uint64_t id() const { return message_id(bytes_of(frame)); }
  Status status() const { return static_cast<Status>(bytes_of(frame)[kAtStatus]); }
  bool from_engine() const { return (bytes_of(frame)[kAtFlags] & kOriginBit) != 0; }
  std::string body() const { return frame.substr(kHeaderBytes + headers_length(bytes_of(frame))); }
  std::string header(std::string_view name) const {
    std::string_view block(frame.data() + kHeaderBytes, headers_length(bytes_of(frame)));
    std::string_view value;
    return find_field(block, name, &value, nullptr, nullptr) ? std::string(value) : std::string();
  }
};

/** What the application knows of one life of a channel number. */
struct View {
  uint32_t group = 0;
  std::deque<Taken> taken;
  bool opened = false;  // accepted, or opened by another thread
  uint64_t opened_id = 0;
  bool ended = false;
  bool last = false;
  Status late = Status::success;
  bool hold_ack = false;      // the test acknowledges the end itself
  bool hold_reading = false;  // bytes are not acknowledged
  size_t unread = 0;
};

class App {
 public:
  explicit App(const EngineOptions& options = {}) {
    OsError error = OsError::none;
    port_ = Engine::create(options, &bell, &error);
    EXPECT_NE(port_, nullptr) << os_error_name(error);
  }
  /** Attaches to a running engine; port() is null when there is none. */
  explicit App(uint64_t engine) { port_ = Engine::attach(engine, &bell); }
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  ~App() { detach(); }

  void detach() {
    if (port_ != nullptr) Engine::detach(port_);
    port_ = nullptr;
  }
  Port* port() { return port_; }
  Engine& engine() { return port_->engine(); }
  const Counters& counters() { return engine().counters(); }
  uint32_t open_group() {
    uint32_t group = port_->open_group();
    EXPECT_NE(group, 0u);
    return group;
  }

  // ── posting ──

  ChannelId open(uint32_t group, bool listener) {
    ChannelId id;
    id.number = port_->open_channel(group, listener, &id.generation);
    if (id.number != 0) view(id).group = group;
    return id;
  }
  ChannelId listen(uint32_t group, const std::string& address, uint64_t id = 1) {
    return start(group, true, OpCode::welcome_request, std::string(kListenOn) + ":" + address + "\r\n", id);
  }
  ChannelId connect(uint32_t group, const std::string& address, uint64_t id = 1) {
    return start(group, false, OpCode::hello_request, std::string(kConnectTo) + ":" + address + "\r\n", id);
  }
  /** Frames of one channel, one behind the other. */
  void post(ChannelId to, const std::string& frames, uint32_t group = 0, uint32_t tag = 0, uint32_t answers = 0) {
    Run run{to.number, to.generation, static_cast<uint32_t>(frames.size()), 0, tag, group != 0 ? group : view(to).group,
            answers};
    for (size_t at = 0; at < frames.size(); at += frame_length(bytes_of(frames) + at)) run.frames++;
    posted_ += run.frames;
    ASSERT_TRUE(port_->flush(bytes_of(frames), &run, 1, are_data(bytes_of(frames), run.frames)));
  }
  void post(ChannelId to, OpCode op_code, uint64_t id, std::string_view body = {}) {
    post(to, make_frame(op_code, id, body));
  }
  void command(Command kind, uint32_t a = 0, uint32_t b = 0, uint32_t c = 0) {
    ASSERT_TRUE(port_->command(kind, a, b, c));
  }
  void close_group(uint32_t group) { command(Command::close_group, group); }

  // ── taking ──

  /** What is known of the channel; kept when it is over. */
  View& view(ChannelId id) { return views_[id]; }
  std::map<ChannelId, View>& views() { return views_; }
  /** Mail without a channel. */
  std::deque<Taken> mail;
  std::set<uint32_t> groups_gone;
  bool engine_gone = false;
  int sockets_gone = 0;
  int violations = 0;
  /** Records of credits, also of those that only say that answers count no more. */
  int credits_told = 0;

  /** Takes all there is. */
  void pump() {
    for (;;) {
      Record records[64];
      DrainResult result = port_->drain(slab_.data(), 0, slab_.size(), records, 64);
      for (uint32_t i = 0; i < result.records; i++) on_record(records[i]);
      if (!result.more && result.records == 0) break;
      // An event is at most a run that was posted, or a frame: tests post no greater runs.
      ASSERT_LE(result.needed, slab_.size());
    }
    settled_ = port_->settled();
  }
  /** Takes what comes until the condition holds, woken by the port alone; a failure says what it waited for. */
  bool wait_for(const char* what, const std::function<bool()>& condition) { return wait(what, condition, kDeadlineMs); }
  /** The same for a condition that nobody tells the port: looks again and again. */
  bool poll_for(const char* what, const std::function<bool()>& condition) { return wait(what, condition, 1); }
  /** The same without sleeping, as JavaScript's thread looks for answers that come at once: so it may run the reactor itself. */
  bool spin_for(const char* what, const std::function<bool()>& condition) {
    auto deadline = SteadyClock::now() + Milliseconds(kDeadlineMs);
    do {
      pump();
      if (condition()) return true;
      if (port_->park() && look() == LookResult::parked) port_->unpark();
    } while (SteadyClock::now() < deadline);
    ADD_FAILURE() << "looked in vain for: " << what << (engine_gone ? " (the engine is gone)" : "");
    return false;
  }
  /** A parked thread with nothing else to do looks until that is over. */
  LookResult look() {
    for (;;) {
      LookResult result = port_->spin();
      if (result != LookResult::undecided) return result;
    }
  }
  /** Until the engine has taken all that was posted: from then on a post may be sent inline. */
  bool wait_taken() {
    return poll_for("an empty queue", [&] { return port_->queue().all_consumed(); });
  }
  /** Waits for the next frame of the channel. */
  Taken next(ChannelId from, const char* what) {
    if (!wait_for(what, [&] { return !view(from).taken.empty(); }))
      return {EventKind::mail, 0, make_frame(OpCode::signal, 0)};
    Taken taken = std::move(view(from).taken.front());
    view(from).taken.pop_front();
    return taken;
  }
  bool wait_last(ChannelId of) {
    return wait_for("the last word", [&] { return view(of).last; });
  }
  /** The next accepted channel of the group that `next_accepted` has not returned yet. */
  ChannelId next_accepted(uint32_t group) {
    ChannelId found;
    wait_for("an accepted channel", [&] {
      for (auto& [id, one] : views_) {
        if (one.group == group && one.opened && accepted_.insert(id).second) {
          found = id;
          return true;
        }
      }
      return false;
    });
    return found;
  }
  void acknowledge_end(ChannelId of) { command(Command::end_ack, of.number, of.generation); }
  void forget(ChannelId of) { command(Command::forget, of.number, of.generation); }

  // ── the books ──

  /** Frames posted that are neither settled nor came back. */
  int64_t outstanding() const {
    return static_cast<int64_t>(posted_) - static_cast<int64_t>(settled_) - static_cast<int64_t>(credits_) -
           static_cast<int64_t>(returned_);
  }
  uint64_t posted() const { return posted_; }
  uint64_t returned() const { return returned_; }
  uint64_t credits() const { return credits_; }
  bool wait_balanced() {
    return wait_for("the outcome of every post", [&] { return outstanding() == 0; });
  }

  Bell bell;

 private:
  bool wait(const char* what, const std::function<bool()>& condition, int64_t most_ms) {
    auto deadline = SteadyClock::now() + Milliseconds(kDeadlineMs);
    for (;;) {
      pump();
      if (condition()) return true;
      int64_t left = std::chrono::duration_cast<Milliseconds>(deadline - SteadyClock::now()).count();
      if (left <= 0) break;
      if (port_->wait(left < most_ms ? left : most_ms) == WaitResult::gone && !condition()) break;
    }
    ADD_FAILURE() << "waited in vain for: " << what << (engine_gone ? " (the engine is gone)" : "");
    return false;
  }

  ChannelId start(uint32_t group, bool listener, OpCode op_code, const std::string& headers, uint64_t id) {
    ChannelId channel = open(group, listener);
    EXPECT_NE(channel.number, 0u);
    HeaderFields fields;
    fields.flags = static_cast<uint8_t>(op_code);
    fields.id = id;
    post(channel, make_frame(fields, headers));
    return channel;
  }

  void on_record(const Record& record) {
    ChannelId id{record.channel, record.generation};
    EventKind kind = static_cast<EventKind>(record.kind);
    switch (kind) {
      case EventKind::frames:
      case EventKind::mail:
      case EventKind::tail:
        on_frames(kind, id, record);
        break;
      case EventKind::opened: {
        View& one = view(id);
        EXPECT_FALSE(one.opened);
        one.group = record.group;
        one.opened = true;
        one.opened_id = static_cast<uint64_t>(record.at) << 32 | record.length;
        break;
      }
      case EventKind::ended:
        EXPECT_FALSE(view(id).ended);
        view(id).ended = true;
        if (!view(id).hold_ack) acknowledge_end(id);
        break;
      case EventKind::last:
        EXPECT_TRUE(view(id).ended);
        EXPECT_FALSE(view(id).last);
        view(id).last = true;
        view(id).late = static_cast<Status>(record.a);
        if (!view(id).hold_ack) forget(id);
        break;
      case EventKind::group_gone:
        EXPECT_TRUE(groups_gone.insert(record.group).second);
        break;
      case EventKind::engine_gone:
        EXPECT_FALSE(engine_gone);
        engine_gone = true;
        break;
      case EventKind::credit:
        credits_ += record.a;
        credits_told++;
        break;
      case EventKind::violation:
        violations++;
        break;
      case EventKind::sockets_gone:
        sockets_gone++;
        break;
    }
  }

  void on_frames(EventKind kind, ChannelId id, const Record& record) {
    EXPECT_FALSE(groups_gone.count(record.group) != 0);
    EXPECT_FALSE(kind == EventKind::frames && view(id).ended) << "frames behind the end";
    EXPECT_FALSE(kind == EventKind::tail && (!view(id).ended || view(id).last)) << "a tail out of place";
    uint32_t frames = 0;
    uint32_t bytes = 0;
    for (size_t at = record.at; at < record.at + record.length; frames++) {
      Taken taken{kind, record.group, wire_of(&slab_[at])};
      at += place_bytes(taken.frame.size());
      bytes += static_cast<uint32_t>(taken.frame.size());
      EXPECT_TRUE(kind != EventKind::frames || channel_of(bytes_of(taken.frame)) == id.number);
      bool done = on_taken && on_taken(id, taken);
      if (!done) (id.number == 0 ? mail : view(id).taken).push_back(std::move(taken));
    }
    if (kind != EventKind::frames) {
      if (record.a == 1) returned_ += frames;
      return;
    }
    EXPECT_EQ(frames, record.a);
    if (view(id).hold_reading) view(id).unread += bytes;
    else command(Command::consumed, id.number, id.generation, bytes);
  }

 public:
  /** Sees each frame first; true: it is done with it. */
  std::function<bool(ChannelId, const Taken&)> on_taken;

 private:
  Port* port_ = nullptr;
  std::map<ChannelId, View> views_;
  std::set<ChannelId> accepted_;
  std::vector<uint8_t> slab_ = std::vector<uint8_t>(256 * 1024);
  uint64_t posted_ = 0;
  uint64_t credits_ = 0;
  uint64_t returned_ = 0;
  uint64_t settled_ = 0;
};

/** Where a listener of the test is: posts the Welcome and waits for the answer. */
struct Listening {
  ChannelId channel;
  std::string address;
};
inline Listening listen_and_wait(App* app, uint32_t group, const std::string& address) {
  Listening listening;
  listening.channel = app->listen(group, address);
  Taken answer = app->next(listening.channel, "the WelcomeResponse");
  EXPECT_EQ(answer.op_code(), OpCode::welcome_response);
  EXPECT_EQ(answer.status(), Status::success);
  EXPECT_TRUE(answer.from_engine());
  listening.address = answer.header(kListenOn);
  return listening;
}

}  // namespace test
}  // namespace tofu
