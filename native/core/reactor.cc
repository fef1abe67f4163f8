// reactor.cc: the loop, what ports post, groups and channels by number. Layer: core. Thread: the engine's, or a test's.
// Invariant: nothing that was posted is skipped: what lacks memory stays in the queue and is tried again, with all
// behind it.
#include "core/reactor.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "core/connection.h"
#include "core/listener.h"
#include "core/port.h"
#include "core/records.h"
#include "core/resolved_queue.h"
#include "os/clock.h"
#include "protocol/header.h"
#include "protocol/post_check.h"

namespace tofu {

namespace {
/** Until what lacked memory or buffers is tried again. */
constexpr int kRetryMs = 10;

}  // namespace

Reactor::~Reactor() {
  bury();
  if (chunk_ != nullptr) free_event(chunk_);
  std::free(channels_);
}

bool Reactor::prepare() {
  channels_ = static_cast<Channel**>(std::calloc(kChannelTableSize, sizeof(Channel*)));
  now_ms_ = shared_.kernel.clock->now_ns() / kNsPerMs;
  timers_.advance(now_ms_, [](Timer*) {});
  return channels_ != nullptr;
}

// ── the loop ──

void Reactor::run() {
  shared_.driver.acquire();
  while (!shared_.stop.load(std::memory_order_acquire)) turn(-1);
  shut_down();
  shared_.driver.release();
}

void Reactor::turn(int max_wait_ms) {
  count(shared_.counters.turns);
  do_posted_work();
  publish();
  int timeout_ms = wait_ms(max_wait_ms);
  if (timeout_ms == 0 || !spin()) poll(timeout_ms);
  flush_dirty();
  tell_credits();
  bury();
  publish();
}

void Reactor::do_posted_work() {
  memory_short_ = false;
  drain_ports();
  take_resolutions();
  if (shared_.number_returned.exchange(false, std::memory_order_acquire)) resume_stalled();
  timers_.advance(now_ms_, [](Timer* timer) {
    Channel* owner = timer->owner;
    if (timer == owner->retry_timer()) owner->on_retry();
    else owner->on_timer();
  });
  flush_dirty();
  ports_.each([this](Port* port) {
    if (port->wants_detach() && !port->queue().has_more()) detach(port);
  });
  tell_credits();
  bury();
}

int Reactor::wait_ms(int max_wait_ms) {
  if (has_posted_work() && !memory_short_) return 0;
  int next = timers_.until_next(now_ms_);
  if (memory_short_ && (next < 0 || next > kRetryMs)) next = kRetryMs;
  if (next < 0 || (max_wait_ms >= 0 && max_wait_ms < next)) return max_wait_ms;
  return next;
}

bool Reactor::has_posted_work() {
  if (shared_.stop.load(std::memory_order_relaxed) || shared_.has_arrivals.load(std::memory_order_relaxed)) return true;
  if (shared_.resolved->has_some() || shared_.number_returned.load(std::memory_order_relaxed)) return true;
  bool some = false;
  ports_.each([&](Port* port) { some = some || port->queue().has_more() || port->wants_detach(); });
  return some;
}

/** Looks for work for a moment instead of sleeping, as long as that has been worth it lately. true: there is some. */
bool Reactor::spin() {
  // A thread that is alone looks itself: see Port::spin().
  bool alone = shared_.has_guests && shared_.port_count.load(std::memory_order_relaxed) == 1;
  if (alone || !spinner_.worth_it()) return false;
  count(shared_.counters.spins);
  bool found = spinner_.look(*shared_.kernel.clock, options().spin_ns(),
                             [this] { return (has_posted_work() && !memory_short_) || poll(0) > 0; });
  if (found) count(shared_.counters.spinHits);
  else spinner_.note_vain();
  return found;
}

int Reactor::poll(int timeout_ms) {
  uint64_t before = 0;
  if (timeout_ms != 0) {
    shared_.parked.store(true, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (has_posted_work() && !memory_short_) {
      timeout_ms = 0;
    } else {
      count(shared_.counters.parks);
      before = shared_.kernel.clock->now_ns();
      if (shared_.has_guests) {
        sleep(timeout_ms);
        timeout_ms = 0;
      }
    }
  }
  Poller& poller = *shared_.kernel.poller;
  int ready = sleeping_ ? poller.look(events_, kEventsPerPoll) : poller.wait(events_, kEventsPerPoll, timeout_ms);
  if (!sleeping_) shared_.parked.store(false, std::memory_order_relaxed);
  uint64_t now = shared_.kernel.clock->now_ns();
  now_ms_ = now / kNsPerMs;
  // Woken soon: looking a little longer would have spared the sleep.
  if (before != 0 && now - before < options().spin_ns()) spinner_.note_short_sleep();
  // What was posted by now comes before what peers do next, and is sent before their end is seen.
  if (ready > 0) {
    drain_ports();
    flush_dirty();
  }
  for (int i = 0; i < ready; i++) handle(events_[i]);
  return ready;
}

/** The engine's thread sleeps, and another one may run the reactor meanwhile. */
void Reactor::sleep(int timeout_ms) {
  sleeping_ = true;
  sleeps_until_ms_ = timeout_ms < 0 ? UINT64_MAX : now_ms_ + static_cast<uint64_t>(timeout_ms);
  shared_.driver.release();
  shared_.kernel.poller->sleep(timeout_ms);
  shared_.driver.acquire();
  sleeping_ = false;
}

void Reactor::guest_turn() {
  // The last turn may be long ago: deadlines begin now.
  now_ms_ = shared_.kernel.clock->now_ns() / kNsPerMs;
  turn(0);
  if (!sleeping_) return;
  int wait = wait_ms(-1);
  if (wait < 0 || now_ms_ + static_cast<uint64_t>(wait) >= sleeps_until_ms_) return;
  sleeps_until_ms_ = 0;
  shared_.kernel.poller->wake();
}

void Reactor::handle(const PollEvent& event) {
  Channel* channel = find(static_cast<uint32_t>(event.token & 0xffff), static_cast<uint32_t>(event.token >> 16));
  if (channel != nullptr) channel->on_ready(event.ready);
}

void Reactor::drain_ports() {
  take_arrivals();
  early_ = false;
  ports_.each([this](Port* port) { drain(port); });
  if (!early_) return;
  // The Hello that a post waits for was published before it: now it is taken.
  memory_short_ = false;
  ports_.each([this](Port* port) { drain(port); });
}

void Reactor::take_arrivals() {
  if (!shared_.has_arrivals.exchange(false, std::memory_order_acquire)) return;
  auto table = shared_.ports.access();
  while (Port* port = table->arrivals.take()) ports_.push(port);
}

void Reactor::take_resolutions() {
  while (ResolvedItem* item = shared_.resolved->take()) {
    uint64_t ticket = item->resolution.ticket;
    Channel* channel = find(static_cast<uint32_t>(ticket & 0xffff), static_cast<uint32_t>(ticket >> 16));
    if (channel != nullptr) channel->on_resolved(item->resolution);
    delete item;
  }
}

void Reactor::mark_dirty(Connection* connection) {
  if (connection->dirty) return;
  connection->dirty = true;
  connection->next_dirty = dirty_;
  dirty_ = connection;
}

void Reactor::flush_dirty() {
  while (Connection* connection = dirty_) {
    dirty_ = connection->next_dirty;
    connection->dirty = false;
    connection->flush();
  }
}

void Reactor::publish() {
  ports_.each([](Port* port) { port->publish(); });
}

void Reactor::bury() {
  while (Channel* channel = buried_.take()) delete channel;
  while (Group* group = buried_groups_.take()) delete group;
  orphans_.each([](Port* port) {
    if (port->blocks > 0) return;
    port->unlink();
    delete port;
  });
}

// ── what channels ask for ──

ResolutionSink* Reactor::resolution_sink() { return shared_.resolved; }

Event* Reactor::take_chunk(Port* port) {
  Event* chunk = chunk_;
  chunk_ = nullptr;
  return chunk != nullptr ? chunk : port->take_event(kChunkBytes);
}

void Reactor::keep_chunk(Event* chunk) {
  TOFU_DCHECK(chunk_ == nullptr);
  chunk_ = chunk;
}

OsError Reactor::watch(Channel* channel, int fd, Interest before, Interest interest) {
  return shared_.kernel.poller->watch(fd, channel->token(), before, interest);
}

void Reactor::retry_soon(Channel* channel) { timers_.start(channel->retry_timer(), now_ms_ + kRetryMs); }

void Reactor::tell(Group* group, Event* event) { group->port->tell(event); }

void Reactor::tell_signal(Group* group, uint32_t channel, const uint8_t* id, Status status, OsError reason) {
  Event* mail = make_event(kHeaderBytes);
  if (mail == nullptr) return;
  uint8_t* frame = mail->bytes();
  std::memset(frame, 0, kHeaderBytes);
  write_u16(frame + kAtChannel, static_cast<uint16_t>(channel));
  frame[kAtFlags] = static_cast<uint8_t>(OpCode::signal) | kOriginBit;
  frame[kAtStatus] = static_cast<uint8_t>(status);
  std::memcpy(frame + kAtIdHigh, id, 8);
  mail->end = kHeaderBytes;
  mail->count = 1;
  mail->kind = EventKind::mail;
  mail->reason = reason;
  mail->group = group->id;
  mail->channel = channel;
  mail->generation = shared_.posts[channel].generation.load(std::memory_order_relaxed);
  tell(group, mail);
}

void Reactor::settle(Port* port, uint32_t tag, uint32_t messages) {
  Group* group = tag == 0 ? nullptr : find_group(tag);
  if (group == nullptr) {
    port->settle(messages);
    return;
  }
  group->tagged_settled += messages;
  credits_due_ = true;
}

void Reactor::end_answers(uint32_t channel, uint32_t answers) {
  if (answers > 0) shared_.posts[channel].unsent_answers.fetch_sub(answers, std::memory_order_relaxed);
}

bool Reactor::end_answers(uint32_t channel, Event* block) {
  if (block->answers == 0) return false;
  end_answers(channel, block->answers);
  block->answers = 0;
  return true;
}

void Reactor::tell_answers_ended(Group* group) { group->answers_ended = credits_due_ = true; }

void Reactor::tell_credits() {
  if (!credits_due_) return;
  credits_due_ = false;
  auto groups = shared_.groups.access();
  for (auto& bucket : groups->buckets) {
    bucket.each([this](Group* group) {
      if (group->tagged_settled == 0 && !group->answers_ended) return;
      Event* credit = make_event(0);
      if (credit == nullptr) {
        credits_due_ = memory_short_ = true;
        return;
      }
      credit->kind = EventKind::credit;
      credit->group = group->id;
      credit->count = group->tagged_settled;
      group->tagged_settled = 0;
      group->answers_ended = false;
      tell(group, credit);
    });
  }
}

void Reactor::hand_over(Group* group, Event* block) {
  Port* poster = block->poster;
  if (poster != nullptr) {
    poster->block_gone();
    if (poster != group->port) {
      settle(poster, block->tag, block->count);
      block->poster = nullptr;
    }
  }
  tell(group, block);
}

void Reactor::violation(Group* group, uint32_t channel) {
  count(shared_.counters.protocolViolations);
  Event* event = group->port->may_tell_violation() ? make_event(0) : nullptr;
  if (event == nullptr) return;
  group->port->note_violation();
  event->kind = EventKind::violation;
  event->group = group->id;
  event->channel = channel;
  tell(group, event);
}

void Reactor::add_broken(Connection* connection) {
  broken_.push(connection);
  ports_.each([connection](Port* port) {
    if (port->starves) connection->settle_unsendable(port);
  });
}

/** The port's receiver is short of messages: those that wait behind what it has not received count no more. */
void Reactor::reclaim(Port* port) {
  port->starves = true;
  broken_.each([port](Connection* connection) { connection->settle_unsendable(port); });
}

void Reactor::socket_gone(Group* group) { group->port->note_socket_closed(); }

bool Reactor::accept(Group* group, int fd, bool tcp) {
  uint32_t number = shared_.numbers.access()->take();
  if (number == 0) return false;
  PostEntry& post = shared_.posts[number];
  uint32_t generation = post.generation.load(std::memory_order_relaxed) + 1;
  if (generation == 0) generation = 1;
  auto* connection = new (std::nothrow) Connection(*this, group, number, generation);
  if (connection == nullptr || !connection->prepare()) {
    delete connection;
    release_number(number);
    return false;
  }
  post.state.store(static_cast<uint8_t>(PostState::unknown), std::memory_order_relaxed);
  post.group.store(group->id, std::memory_order_relaxed);
  post.generation.store(generation, std::memory_order_release);
  index(connection);
  count(shared_.counters.channels);
  group->port->socket_opened();
  connection->start_accepted(fd, tcp);
  return true;
}

void Reactor::forget_unseen(Connection* connection) {
  shared_.posts[connection->number()].state.store(static_cast<uint8_t>(PostState::unknown), std::memory_order_release);
  forget(connection);
}

void Reactor::add_stalled(Listener* listener) { stalled_.push(listener); }

// ── channels and groups ──

Channel* Reactor::find(uint32_t number, uint32_t generation) {
  if (number >= kChannelTableSize) return nullptr;
  Channel* channel = channels_[number];
  return channel != nullptr && channel->generation() == generation ? channel : nullptr;
}

void Reactor::index(Channel* channel) {
  TOFU_ASSERT(channels_[channel->number()] == nullptr);
  channels_[channel->number()] = channel;
  channel->group()->channels.push(channel);
}

/** The number is free, the object goes at the end of the turn. */
void Reactor::forget(Channel* channel) {
  channels_[channel->number()] = nullptr;
  if (!channel->is_listener()) {
    auto* connection = static_cast<Connection*>(channel);
    connection->acknowledge(connection->outstanding());
  }
  channel->hand_over_late();
  channel->unlink();
  buried_.push(channel);
  release_number(channel->number());
}

void Reactor::release_number(uint32_t number) {
  shared_.numbers.access()->release(number);
  resume_stalled();
}

void Reactor::resume_stalled() {
  while (Listener* listener = stalled_.take()) listener->on_number();
}

Group* Reactor::find_group(uint32_t id) { return shared_.groups.access()->find(id); }

void Reactor::close_group(uint32_t id) {
  Group* group = find_group(id);
  if (group != nullptr) destroy_group(group);
}

void Reactor::destroy_group(Group* group) {
  while (Channel* channel = group->channels.front()) {
    channel->destroy();
    shared_.posts[channel->number()].state.store(static_cast<uint8_t>(PostState::closed), std::memory_order_release);
    forget(channel);
  }
  {
    auto groups = shared_.groups.access();
    group->unlink();
  }
  shared_.counters.groups.fetch_sub(1, std::memory_order_relaxed);
  for (uint32_t i = group->unstarted.load(std::memory_order_relaxed); i > 0; i--) group->port->note_socket_closed();
  if (group->tagged_settled > 0) group->port->settle(group->tagged_settled);
  Event* gone = group->gone_event;
  group->gone_event = nullptr;
  gone->kind = EventKind::group_gone;
  gone->group = group->id;
  group->port->tell(gone);
  group->port->must_ring();
  buried_groups_.push(group);
}

void Reactor::detach(Port* port) {
  for (uint32_t i = 0; i < GroupTable::kBuckets;) {
    Group* own = nullptr;
    shared_.groups.access()->buckets[i].each([&](Group* group) {
      if (group->port == port) own = group;
    });
    if (own == nullptr) i++;
    else destroy_group(own);
  }
  withdraw_numbers(port);
  flush_dirty();
  port->publish();
  port->unlink();
  orphans_.push(port);
}

void Reactor::shut_down() {
  take_arrivals();
  shared_.groups.access()->closing = true;
  for (uint32_t i = 0; i < GroupTable::kBuckets;) {
    Group* group = shared_.groups.access()->buckets[i].front();
    if (group == nullptr) i++;
    else destroy_group(group);
  }
  flush_dirty();
  bury();
  take_arrivals();
  ports_.each([](Port* port) {
    port->tell_engine_gone();
    port->publish();
  });
  // From here on ports are their application threads'. A port that arrives later finds the table finished.
  List<Port, ListNode> leaving;
  {
    auto table = shared_.ports.access();
    table->finished = true;
    shared_.finished.store(true, std::memory_order_release);
    while (Port* port = ports_.take()) {
      if (port->wants_detach()) leaving.push(port);
    }
    while (Port* port = table->arrivals.take()) {
      if (port->wants_detach()) leaving.push(port);
      else port->tell_engine_gone(), port->publish();
    }
  }
  while (Port* port = orphans_.take()) leaving.push(port);
  while (Port* port = leaving.take()) delete port;
}

}  // namespace tofu
