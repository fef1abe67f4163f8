// port.cc: both sides of a port: posting, inline sends, draining and waiting of an application thread; publishing of
// the engine's. Layer: core. Thread: each function that of its section.
// Invariant: whoever publishes looks for a sleeper afterwards, and whoever goes to sleep says so before looking for the
// last time.
#include "core/port.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <thread>

#include "core/host_frame.h"
#include "core/reactor.h"
#include "core/records.h"
#include "core/shared.h"
#include "os/clock.h"
#include "os/sockets.h"
#include "protocol/header.h"
#include "protocol/post_check.h"

namespace tofu {

namespace {
/** Runs a flush may have and still be sent by its own thread: more are bulk, which the engine's thread sends alongside. */
constexpr size_t kInlineRuns = 16;
constexpr uint32_t kInlineBytes = 64 * 1024;
/**
 * How often a thread that needs a channel number lets the engine's thread run first, to take back what it gave: at first by giving way,
 * which takes microseconds, then by short sleeps, for a machine where others want every core.
 */
constexpr int kNumberYields = 1000;
constexpr int kNumberSleeps = 2000;
constexpr std::chrono::microseconds kNumberSleep{100};

/** A run of this size is worth memory of its own. */
constexpr uint32_t kBlockBytes = 2048;
/** What one drain copies, about: what is copied is read soon, and should be in the cache then, with the objects that stand for it. */
constexpr size_t kDrainBytes = 16 * 1024;

/** How long a thread looks before its event loop has a turn: about as long as an answer over loopback takes. */
constexpr uint64_t kLookNs = 10'000;

size_t aligned(size_t size) { return (size + 7) & ~size_t{7}; }
size_t record_size(uint32_t bytes) { return aligned(sizeof(RunRecord) + bytes); }
}  // namespace

Port::~Port() {
  drop_queued_blocks();
  while (Event* event = draining_.take()) free_event(event);
  while (Event* event = outgoing_.take()) free_event(event);
  while (Event* event = inbox_.access()->events.take()) free_event(event);
  if (gone_event_ != nullptr) free_event(gone_event_);
}

bool Port::prepare() {
  gone_event_ = make_event(0);
  return gone_event_ != nullptr;
}

bool Port::is_owner() const { return engine_.owner() == this; }

// ── application thread: groups and channels ──

uint32_t Port::open_group() {
  Shared& shared = engine_.shared();
  auto* group = new (std::nothrow) Group();
  Event* gone = make_event(0);
  if (group == nullptr || gone == nullptr) {
    delete group;
    if (gone != nullptr) free_event(gone);
    return 0;
  }
  group->id = shared.next_group.fetch_add(1, std::memory_order_relaxed);
  group->port = this;
  group->gone_event = gone;
  auto groups = shared.groups.access();
  if (groups->closing) {
    free_event(gone);
    delete group;
    return 0;
  }
  groups->buckets[group->id % GroupTable::kBuckets].push(group);
  count(shared.counters.groups);
  return group->id;
}

/** When none is left, what this thread has given back may still be on its way: the engine's thread is waited for, briefly. */
uint32_t Port::take_number() {
  Shared& shared = engine_.shared();
  uint32_t number = shared.numbers.access()->take();
  if (number != 0) return number;
  for (int i = 0; i < kNumberYields + kNumberSleeps && !queue_.all_consumed(); i++) {
    if (shared.stop.load(std::memory_order_relaxed)) return 0;
    if (drive()) continue;
    if (i < kNumberYields) std::this_thread::yield();
    else std::this_thread::sleep_for(kNumberSleep);
  }
  // Also if all was consumed at the first look: it may have come back since the number was not there.
  return shared.numbers.access()->take();
}

uint32_t Port::open_channel(uint32_t group_id, bool listener, uint32_t* generation) {
  Shared& shared = engine_.shared();
  uint32_t number = take_number();
  if (number == 0) return 0;
  if (announce(number, group_id, listener, generation)) return number;
  shared.numbers.access()->release(number);
  // A listener may wait for one.
  shared.number_returned.store(true, std::memory_order_release);
  wake_engine();
  return 0;
}

/** Makes the number one that may be posted to; false: there is no such group any more. */
bool Port::announce(uint32_t number, uint32_t group_id, bool listener, uint32_t* generation) {
  Shared& shared = engine_.shared();
  auto groups = shared.groups.access();
  Group* group = groups->find(group_id);
  if (group == nullptr || group->closing.load(std::memory_order_relaxed)) return false;
  PostEntry& post = shared.posts[number];
  *generation = post.generation.load(std::memory_order_relaxed) + 1;
  if (*generation == 0) *generation = 1;
  post.state.store(static_cast<uint8_t>(PostState::unknown), std::memory_order_relaxed);
  post.group.store(group_id, std::memory_order_relaxed);
  post.announcer.store(this, std::memory_order_relaxed);
  announced.fetch_add(1, std::memory_order_relaxed);
  post.generation.store(*generation, std::memory_order_release);
  post.state.store(static_cast<uint8_t>(listener ? PostState::listener : PostState::open), std::memory_order_release);
  group->unstarted.fetch_add(1, std::memory_order_relaxed);
  group->port->socket_opened();
  return true;
}

// ── application thread: posting ──

bool Port::flush(const uint8_t* bytes, const Run* runs, size_t run_count, bool data_only) {
  if (run_count == 0) return true;
  Shared& shared = engine_.shared();
  if (shared.finished.load(std::memory_order_acquire)) {
    uint32_t dropped = 0;
    for (size_t i = 0; i < run_count; i++) dropped += runs[i].frames;
    settled_.fetch_add(dropped, std::memory_order_release);
    return true;
  }
  // Room first, so that what follows cannot fail.
  if (!has_room(runs, run_count)) return false;
  size_t first = 0;
  Sent sent;
  if (data_only && may_send_inline(runs, run_count)) {
    for (; first < run_count; first++) {
      sent = send_inline(bytes, runs[first]);
      if (sent.offset < runs[first].bytes) break;
      bytes += runs[first].bytes;
    }
    if (first == run_count) return true;
  }
  count(shared.counters.queuedRuns, run_count - first);
  for (size_t i = first; i < run_count; i++) {
    Sent of_it = i == first ? sent : Sent();
    Run run = runs[i];
    run.answers = std::min(run.answers, run.frames - of_it.frames);
    if (run.answers > 0) {
      shared.posts[run.channel].unsent_answers.fetch_add(run.answers, std::memory_order_relaxed);
    }
    if (data_only && write_block(bytes, run, of_it)) count(shared.counters.queuedBlocks);
    else write_run(bytes, run, of_it);
    bytes += runs[i].bytes;
  }
  queue_.publish();
  wake_engine();
  return true;
}

/** It costs nothing when it is not used. */
bool Port::has_room(const Run* runs, size_t run_count) {
  size_t size = 0;
  for (size_t i = 0; i < run_count; i++) size += record_size(runs[i].bytes);
  if (size == 0) return true;
  if (queue_.reserve(size) == nullptr) return false;
  queue_.cancel(size);
  return true;
}

bool Port::may_send_inline(const Run* runs, size_t run_count) const {
  // Nothing of this thread is on its way, or an older message of the same channel could be overtaken.
  if (run_count > kInlineRuns || !queue_.all_consumed()) return false;
  uint32_t total = 0;
  for (size_t i = 0; i < run_count; i++) {
    total += runs[i].bytes;
    if (runs[i].tag != 0 || total > kInlineBytes) return false;
  }
  return true;
}

Port::Sent Port::send_inline(const uint8_t* bytes, const Run& run) {
  Sent sent;
  Shared& shared = engine_.shared();
  Gate& gate = shared.gates[run.channel];
  GateState expected = GateState::open;
  if (!gate.state.compare_exchange_strong(expected, GateState::busy, std::memory_order_acq_rel)) return sent;
  if (gate.generation != run.generation) {
    gate.state.store(GateState::open, std::memory_order_release);
    return sent;
  }
  Slice slice{const_cast<uint8_t*>(bytes), run.bytes};
  IoResult result = shared.kernel.sockets->write(gate.fd, &slice, 1);
  count(shared.counters.sendCalls);
  count(shared.counters.inlineSends);
  if (result.bytes == run.bytes) {
    sent.offset = run.bytes;
    sent.frames = run.frames;
  } else {
    size_t left = result.bytes;
    for (const uint8_t* frame = bytes; sent.frames < run.frames; frame += frame_length(frame)) {
      size_t length = frame_length(frame);
      if (length > left) break;
      left -= length;
      sent.offset += static_cast<uint32_t>(length);
      sent.frames++;
    }
    sent.of_next = static_cast<uint32_t>(left);
  }
  // What is left goes to the engine's thread. A frame that was cut must be finished before anyone else writes.
  GateState after = sent.of_next > 0 ? GateState::partial : GateState::open;
  gate.state.store(after, std::memory_order_release);
  if (sent.frames > 0) {
    settled_.fetch_add(sent.frames, std::memory_order_release);
    count(shared.counters.messagesOut, sent.frames);
    count(shared.counters.bytesOut, sent.offset);
  }
  return sent;
}

void Port::write_run(const uint8_t* bytes, const Run& run, const Sent& sent) {
  uint32_t length = run.bytes - sent.offset;
  auto* record = reinterpret_cast<RunRecord*>(queue_.reserve(record_size(length)));
  record->header = {RecordType::run, static_cast<uint32_t>(record_size(length))};
  record->run = run;
  record->run.bytes = length;
  record->run.frames = run.frames - sent.frames;
  record->offset = 0;
  record->sent = sent.of_next;
  std::memcpy(record->bytes(), bytes + sent.offset, length);
}

/** What is much is handed over as it shall be queued, and not copied a second time. false: it is not, or there is no memory. */
bool Port::write_block(const uint8_t* bytes, const Run& run, const Sent& sent) {
  uint32_t length = run.bytes - sent.offset;
  if (length < kBlockBytes) return false;
  Event* block = make_event(length);
  if (block == nullptr) return false;
  std::memcpy(block->bytes(), bytes + sent.offset, length);
  block->end = length;
  block->count = run.frames - sent.frames;
  block->channel = run.channel;
  block->generation = run.generation;
  block->group = run.group;
  block->tag = run.tag;
  block->answers = run.answers;
  block->sent = sent.of_next;
  block->poster = this;
  auto* record = reinterpret_cast<BlockRecord*>(queue_.reserve(sizeof(BlockRecord)));
  record->header = {RecordType::block, sizeof(BlockRecord)};
  record->block = block;
  return true;
}

/** Those nobody takes any more. */
void Port::drop_queued_blocks() {
  size_t length = 0;
  while (uint8_t* bytes = queue_.peek(&length)) {
    for (size_t at = 0; at < length;) {
      auto* header = reinterpret_cast<RecordHeader*>(bytes + at);
      if (header->type == RecordType::block) free_event(reinterpret_cast<BlockRecord*>(header)->block);
      at += header->size;
    }
    queue_.consume(length);
  }
}

bool Port::update(uint32_t group, const uint8_t* frame, size_t length) {
  size_t size = aligned(sizeof(UpdateRecord) + length);
  auto* record = reinterpret_cast<UpdateRecord*>(queue_.reserve(size));
  if (record == nullptr) return false;
  record->header = {RecordType::update, static_cast<uint32_t>(size)};
  record->group = group;
  record->length = static_cast<uint32_t>(length);
  std::memcpy(record->bytes(), frame, length);
  queue_.publish();
  wake_engine();
  return true;
}

bool Port::command(Command kind, uint32_t a, uint32_t b, uint32_t c) {
  Shared& shared = engine_.shared();
  auto* record = reinterpret_cast<CommandRecord*>(queue_.reserve(aligned(sizeof(CommandRecord))));
  if (record == nullptr) return false;
  record->header = {RecordType::command, static_cast<uint32_t>(aligned(sizeof(CommandRecord)))};
  record->kind = kind;
  record->a = a;
  record->b = b;
  record->c = c;
  if (kind == Command::close_group) {
    auto groups = shared.groups.access();
    Group* group = groups->find(a);
    if (group != nullptr) group->closing.store(true, std::memory_order_relaxed);
  }
  queue_.publish();
  wake_engine();
  return true;
}

// ── application thread: running the reactor ──

bool Port::drive() {
  Shared& shared = engine_.shared();
  bool alone = shared.has_guests && shared.port_count.load(std::memory_order_relaxed) == 1;
  // Stopping is the engine's thread's, which takes the reactor when nobody drives any more.
  if (!alone || shared.stop.load(std::memory_order_relaxed) || !shared.driver.try_begin()) return false;
  if (shared.finished.load(std::memory_order_relaxed)) {
    shared.driver.end(false);
    return false;
  }
  engine_.reactor().guest_turn();
  count(shared.counters.drives);
  shared.driver.end(arrived_some_.load(std::memory_order_relaxed));
  return true;
}

/** What was posted is taken now: here, or by the engine's thread. */
void Port::wake_engine() {
  if (!drive()) engine_.shared().wake_engine();
}

// ── application thread: receiving ──

namespace {
struct Copied {
  uint32_t frames = 0;
  size_t used = 0;    // bytes of the slab
  size_t needed = 0;  // bytes of the next frame, when there was no room for it
};

/** Moves frames from the event to the slab, until [at, capacity) is full or enough is copied. */
Copied copy_frames(Event* event, uint8_t* slab, size_t at, size_t capacity, size_t enough) {
  Copied copied;
  while (event->count > copied.frames && at + copied.used < enough) {
    const uint8_t* frame = event->begin();
    size_t length = frame_length(frame);
    size_t place = place_bytes(length);
    if (place > capacity - at - copied.used) {
      copied.needed = place;
      break;
    }
    write_host_frame(slab + at + copied.used, frame, length);
    event->at += static_cast<uint32_t>(length);
    copied.used += place;
    copied.frames++;
  }
  event->count -= copied.frames;
  return copied;
}

bool holds_frames(const Event& event) {
  return event.kind == EventKind::frames || event.kind == EventKind::mail || event.kind == EventKind::tail;
}
}  // namespace

DrainResult Port::drain(uint8_t* slab, size_t at, size_t capacity, Record* records, size_t max_records) {
  DrainResult result;
  result.used = at;
  if (draining_.empty() && !arrived_some_.load(std::memory_order_acquire)) drive();
  if (draining_.empty()) {
    auto inbox = inbox_.access();
    draining_.append(inbox->events);
    inbox->spent.fill_from(spent_);
    arrived_some_.store(false, std::memory_order_relaxed);
  }
  while (Event* event = draining_.front()) {
    if (result.records == max_records || result.used >= at + kDrainBytes) break;
    Record record = {static_cast<uint32_t>(event->kind), event->group, event->channel, event->generation, 0, 0, event->count,
                     static_cast<uint32_t>(event->reason)};
    if (event->kind == EventKind::opened) {
      record.at = event->at;
      record.length = event->end;
      record.b = event->tag;
    } else if (holds_frames(*event)) {
      Copied copied = copy_frames(event, slab, result.used, capacity, at + kDrainBytes);
      result.needed = copied.needed;
      if (copied.frames == 0) break;
      record.at = static_cast<uint32_t>(result.used);
      record.length = static_cast<uint32_t>(copied.used);
      record.a = copied.frames;
      result.used += copied.used;
    }
    if (event->kind == EventKind::mail || event->kind == EventKind::tail) record.a = event->poster == this ? 1 : 0;
    records[result.records++] = record;
    if (holds_frames(*event) && event->count > 0) break;
    if (event->kind == EventKind::violation) untold_violations_.fetch_sub(1, std::memory_order_relaxed);
    spent_.put(draining_.take());
  }
  result.more = !draining_.empty();
  if (result.records > 0) {
    count(engine_.shared().counters.batches);
    count(engine_.shared().counters.batchedEvents, result.records);
  }
  return result;
}

void Port::note_delivered(uint32_t frames, uint32_t bytes) {
  if (frames == 0) return;
  count(engine_.shared().counters.messagesIn, frames);
  count(engine_.shared().counters.bytesIn, bytes);
}

bool Port::park() {
  if (!draining_.empty()) return false;
  // Who looks for a moment longer goes on driving, and stops when it has looked in vain.
  if (!spinner_.worth_it()) engine_.shared().driver.stop();
  auto inbox = inbox_.access();
  if (!inbox->events.empty()) return false;
  if (inbox->woken_soon) spinner_.note_short_sleep();
  inbox->woken_soon = false;
  inbox->parked = true;
  looks_until_ns_ = 0;
  inbox->parked_at_ns = engine_.shared().kernel.clock->now_ns();
  return true;
}

LookResult Port::spin() {
  Shared& shared = engine_.shared();
  uint64_t now = shared.kernel.clock->now_ns();
  {
    auto inbox = inbox_.access();
    if (!inbox->parked && looks_until_ns_ == 0) return LookResult::parked;
    inbox->parked = false;
  }
  if (looks_until_ns_ == 0) {
    count(shared.counters.waits);
    looks_until_ns_ = now + shared.options.spin_ns();
  }
  uint64_t left_ns = looks_until_ns_ > now ? looks_until_ns_ - now : 0;
  bool found = left_ns > 0 && spinner_.look(*shared.kernel.clock, std::min(left_ns, kLookNs), [this] {
    drive();
    return arrived_some_.load(std::memory_order_acquire);
  });
  if (!found && left_ns > kLookNs && spinner_.worth_it()) return LookResult::undecided;
  looks_until_ns_ = 0;
  if (found) {
    count(shared.counters.waitHits);
    return LookResult::found;
  }
  spinner_.note_vain();
  shared.driver.stop();
  auto inbox = inbox_.access();
  inbox->parked = inbox->events.empty();
  return inbox->parked ? LookResult::parked : LookResult::found;
}

void Port::unpark() {
  looks_until_ns_ = 0;
  inbox_.access()->parked = false;
}

uint32_t Port::want_credits() {
  credits_wanted_.store(true, std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return settled();
}

WaitResult Port::wait(int64_t timeout_ms) {
  if (!draining_.empty()) return WaitResult::ready;
  engine_.shared().driver.stop();
  auto inbox = inbox_.access();
  // Asked for anew before each sleep: a wake may be for what settled() has told already, and takes the wish along.
  auto arrived = [&] {
    credits_wanted_.store(true, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return !inbox->events.empty() || inbox->gone || settled_.load(std::memory_order_acquire) != settled_told_;
  };
  inbox->waiting = true;
  if (timeout_ms < 0) arrived_.wait(inbox.lock(), arrived);
  else arrived_.wait_for(inbox.lock(), std::chrono::milliseconds(timeout_ms), arrived);
  inbox->waiting = false;
  if (!inbox->events.empty()) return WaitResult::ready;
  if (inbox->gone) return WaitResult::gone;
  return arrived() ? WaitResult::ready : WaitResult::timed_out;
}

// ── engine thread ──

void Port::settle(uint32_t messages) {
  settled_.fetch_add(messages, std::memory_order_release);
  settled_now_ = true;
}

Event* Port::take_event(size_t bytes) {
  size_t size = EventShelf::size_for(bytes);
  if (size == EventShelf::kSizes) return make_event(bytes);
  if (!spare_.has(size)) spare_.fill_from(inbox_.access()->spent);
  Event* event = spare_.take(size);
  if (event != nullptr) return event;
  // No more of these than go round: what a peer sends in many small pieces shall not take much more memory than it has bytes.
  bool shelved = bytes == kChunkBytes || shelved_[size] < EventShelf::kMost[size];
  if (!shelved) return make_event(bytes);
  event = make_event(EventShelf::kBytes[size]);
  if (event != nullptr) shelved_[size]++;
  return event;
}

void Port::note_socket_closed() {
  if (open_sockets_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  must_ring_ = true;
  Event* event = make_event(0);
  if (event == nullptr) return;  // the bell alone makes the thread look
  event->kind = EventKind::sockets_gone;
  tell(event);
}

void Port::tell_engine_gone() {
  gone_event_->kind = EventKind::engine_gone;
  tell(gone_event_);
  gone_event_ = nullptr;
  must_ring_ = true;
}

void Port::publish() {
  bool wake = must_ring_;
  if (settled_now_) {
    settled_now_ = false;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (credits_wanted_.load(std::memory_order_relaxed) && credits_wanted_.exchange(false)) wake = true;
  }
  if (outgoing_.empty() && !wake) return;
  must_ring_ = false;
  {
    auto inbox = inbox_.access();
    if (inbox->closed) {
      while (Event* event = outgoing_.take()) free_event(event);
      return;
    }
    if (!outgoing_.empty() && outgoing_.back()->kind == EventKind::engine_gone) inbox->gone = true;
    if (inbox->parked) {
      uint64_t slept_ns = engine_.shared().kernel.clock->now_ns() - inbox->parked_at_ns;
      inbox->woken_soon = slept_ns < engine_.shared().options.spin_ns();
    }
    inbox->events.append(outgoing_);
    arrived_some_.store(true, std::memory_order_release);
    if (inbox->waiting) arrived_.notify_one();
    wake = wake || inbox->parked;
    inbox->parked = false;
    if (wake) ringing_.store(true, std::memory_order_relaxed);
  }
  if (!wake) return;
  count(engine_.shared().counters.doorbells);
  if (doorbell_ != nullptr) doorbell_->ring();
  ringing_.store(false, std::memory_order_release);
}

void Port::close_inbox() {
  inbox_.access()->closed = true;
  // Ringing neither waits nor calls back, so this is over in a moment.
  while (ringing_.load(std::memory_order_acquire)) std::this_thread::yield();
}

}  // namespace tofu
