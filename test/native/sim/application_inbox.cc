// application_inbox.cc: what an application thread does with what the engine tells it, in the order of the contract.
#include <cstring>

#include "core/event.h"
#include "core/host_frames.h"
#include "protocol/post_check.h"
#include "sim/application.h"

namespace tofu {
namespace sim {

namespace {
/** Consumed bytes are acknowledged from here on, as in JavaScript. */
constexpr size_t kAcknowledgeBytes = 32 * 1024;
constexpr size_t kSlabBytes = 256 * 1024;
constexpr size_t kMostRecords = 256;

EventKind kind_of(const Record& record) { return static_cast<EventKind>(record.kind); }
const uint8_t* bytes_of(const std::string& frame) { return reinterpret_cast<const uint8_t*>(frame.data()); }
}  // namespace

Application::Channel* Application::find(uint32_t number, uint32_t generation) {
  for (Channel& channel : channels_) {
    if (channel.number == number && channel.generation == generation) return &channel;
  }
  return nullptr;
}

Application::Group* Application::group_of(uint32_t id) {
  auto found = groups_.find(id);
  return found == groups_.end() ? nullptr : &found->second;
}

Application::Group* Application::any_group() {
  if (groups_.empty()) return nullptr;
  auto at = groups_.begin();
  std::advance(at, static_cast<ptrdiff_t>(world_.random.below(groups_.size())));
  return at->second.closing ? nullptr : &at->second;
}

Application::Channel* Application::any_channel() {
  if (channels_.empty()) return nullptr;
  if (world_.focused && world_.random.chance(700)) return &channels_.front();
  auto at = channels_.begin();
  std::advance(at, static_cast<ptrdiff_t>(world_.random.below(channels_.size())));
  return &*at;
}

bool Application::drain() {
  // Who is parked sleeps until the bell rings.
  if (parked_ || gone_) return false;
  slab_.resize(kSlabBytes);
  Record records[kMostRecords];
  size_t at = world_.random.chance(300) ? world_.random.below(kSlabBytes / kPlaceBytes) * kPlaceBytes : 0;
  DrainResult result = port_->drain(slab_.data(), at, slab_.size(), records, world_.random.between(1, kMostRecords));
  if (result.records == 0 && result.needed > 0) {
    result = port_->drain(slab_.data(), 0, slab_.size(), records, kMostRecords);
    if (result.records == 0) world_.fail("port %d: an event does not fit into an empty slab", number_);
  }
  for (uint32_t i = 0; i < result.records; i++) sort(records[i], slab_.data());
  if (result.records > 0) world_.activity++;
  return result.records > 0;
}

/** Who has parked looks for a moment longer, and may run the reactor itself meanwhile. */
void Application::look() {
  if (port_->spin() != LookResult::parked) parked_ = false;
}

void Application::drain_all() {
  parked_ = false;
  while (drain()) {
  }
}

void Application::sort(const Record& record, const uint8_t* slab) {
  if (gone_) world_.fail("port %d: a record of kind %u behind the engine's end", number_, record.kind);
  EventKind kind = kind_of(record);
  world_.log("port %d record %u group %u channel %u.%u count %u", number_, record.kind, record.group, record.channel,
             record.generation, record.a);
  if (kind == EventKind::engine_gone) {
    gone_ = true;
    return;
  }
  if (kind == EventKind::sockets_gone) return;
  if (kind == EventKind::credit) {
    tagged_ += record.a;
    return;
  }
  Group* group = group_of(record.group);
  if (group == nullptr) {
    world_.fail("port %d: a record of kind %u for group %u, which is gone", number_, record.kind, record.group);
    return;
  }
  if (kind == EventKind::group_gone) {
    if (!group->closing) world_.fail("port %d: group %u is gone unasked", number_, record.group);
    groups_.erase(record.group);
    return;
  }
  if (kind == EventKind::mail || kind == EventKind::tail) {
    on_mail(record, slab + record.at);
    return;
  }
  if (group->closing || kind == EventKind::violation) return;
  Channel* channel = find(record.channel, record.generation);
  if (kind == EventKind::opened) {
    if (channel != nullptr) {
      world_.fail("port %d: channel %u.%u opens twice", number_, record.channel, record.generation);
    }
    uint64_t opener = static_cast<uint64_t>(record.at) << 32 | record.length;
    Channel opened;
    opened.number = record.channel;
    opened.generation = record.generation;
    opened.group = record.group;
    opened.listener = record.a == 1;
    if (record.b == 1) opened.life = ledger_.find(engine_number_, record.channel, record.generation);
    else opened.life = ledger_.open(engine_number_, record.group, record.channel, record.generation, false, opener);
    if (opened.life == nullptr || opened.life->opener != opener) {
      world_.fail("port %d: channel %u.%u opens with another id", number_, record.channel, record.generation);
      return;
    }
    if (record.b == 0) engine_->set_post_state(record.channel, static_cast<uint8_t>(PostState::open));
    channels_.push_back(opened);
    return;
  }
  if (channel == nullptr || channel->last) {
    world_.fail("port %d: a record of kind %u for channel %u.%u, which is over", number_, record.kind, record.channel,
                record.generation);
    return;
  }
  if (kind == EventKind::frames) on_frames(record, slab + record.at);
  else if (kind == EventKind::ended) on_ended(channel);
  else if (kind == EventKind::last) on_last(record, channel);
  else world_.fail("port %d: a record of unknown kind %u", number_, record.kind);
}

void Application::on_frames(const Record& record, const uint8_t* frames) {
  Channel* channel = find(record.channel, record.generation);
  if (channel->over) world_.fail("port %d: frames of channel %u behind its end", number_, record.channel);
  const uint8_t* place = frames;
  for (uint32_t i = 0; i < record.a; i++) {
    channel->frames.push_back(test::wire_of(place));
    place += place_bytes(channel->frames.back().size());
  }
  if (static_cast<size_t>(place - frames) != record.length) {
    world_.fail("port %d: %u frames are not %u bytes", number_, record.a, record.length);
  }
}

void Application::on_mail(const Record& record, const uint8_t* frames) {
  Group* group = group_of(record.group);
  const uint8_t* end = frames + record.length;
  std::string wire;
  for (const uint8_t* place = frames; place < end; place += place_bytes(wire.size())) {
    wire = test::wire_of(place);
    const uint8_t* frame = bytes_of(wire);
    if (record.a == 1) brought_back_++;
    if (group->closing) continue;
    uint64_t id = message_id(frame);
    if (record.channel == 0) {
      int sender = static_cast<int>((id & ~kUpdateId) >> kSenderShift);
      if (id <= group->updates[sender]) world_.fail("group %u: updates of port %d out of order", group->id, sender);
      group->updates[sender] = id;
    } else if (frame[kAtStatus] == static_cast<uint8_t>(Status::accept_failed)) {
      continue;
    } else {
      const Post* post = ledger_.post_of(id);
      Channel* channel = find(record.channel, record.generation);
      bool own = post != nullptr && post->poster == number_;
      bool settled_before = own && starved_ && record.a == 0;
      if (own != (record.a == 1) && !settled_before) {
        world_.fail("message %llu: wrong word on whose post it was", static_cast<unsigned long long>(id));
      }
      bool tail = kind_of(record) == EventKind::tail;
      if (tail && (channel == nullptr || !channel->acknowledged || channel->last)) {
        world_.fail("port %d: a tail of channel %u out of its place", number_, record.channel);
      }
      bool welcome = post != nullptr && post->op == OpCode::welcome_request;
      if (!tail && !welcome && own && (channel == nullptr || channel->last)) {
        world_.fail("port %d: own message %llu comes behind the last word", number_,
                    static_cast<unsigned long long>(id));
      }
      ledger_.on_returned(engine_number_, record.channel, record.generation, frame);
    }
    group->mail.push_back({wire, nullptr});
  }
}

void Application::on_ended(Channel* channel) {
  if (channel->over) world_.fail("port %d: channel %u ends twice", number_, channel->number);
  channel->over = true;
  if (channel->frames.empty()) acknowledge_end(channel);
}

void Application::on_last(const Record& record, Channel* channel) {
  if (!channel->acknowledged) world_.fail("port %d: the last of channel %u comes unasked", number_, channel->number);
  channel->last = true;
  channel->late_status = static_cast<uint8_t>(record.a);
  group_of(channel->group)->mail.push_back({"", channel});
}

void Application::acknowledge_end(Channel* channel) {
  channel->acknowledged = true;
  flush();
  command(Command::end_ack, channel->number, channel->generation, 0);
}

/** One message, as the mailbox gives them out; false: nothing now. */
bool Application::take(Group* group) {
  if (!group->mail.empty() && world_.random.chance(500)) {
    Mail mail = group->mail.front();
    group->mail.pop_front();
    if (mail.last_of != nullptr) take_last(mail.last_of);
    return true;
  }
  Channel* chosen = any_channel();
  if (chosen != nullptr && chosen->group == group->id && take_frame(chosen)) return true;
  for (Channel& channel : channels_) {
    if (channel.group == group->id && take_frame(&channel)) return true;
  }
  return !group->mail.empty();
}

bool Application::take_frame(Channel* channel) {
  if (channel->frames.empty()) return false;
  std::string frame = std::move(channel->frames.front());
  channel->frames.pop_front();
  ledger_.on_received(channel->life, bytes_of(frame));
  world_.activity++;
  if (is_bye(op_code_of(bytes_of(frame)))) channel->bye_heard = true;
  channel->taken += frame.size();
  if (channel->taken >= kAcknowledgeBytes || world_.random.chance(20)) {
    command(Command::consumed, channel->number, channel->generation, static_cast<uint32_t>(channel->taken));
    channel->taken = 0;
  }
  if (channel->frames.empty() && channel->over) acknowledge_end(channel);
  return true;
}

void Application::take_last(Channel* channel) {
  for (std::string& frame : channel->late) {
    frame[kAtFlags] = static_cast<char>(frame[kAtFlags] | kOriginBit);
    frame[kAtStatus] = static_cast<char>(channel->late_status);
    ledger_.on_returned(engine_number_, channel->number, channel->generation, bytes_of(frame));
  }
  if (channel->life->last_told) world_.fail("channel %u.%u has two last words", channel->number, channel->generation);
  channel->life->last_told = true;
  engine_->set_post_state(channel->number, static_cast<uint8_t>(PostState::closed));
  command(Command::forget, channel->number, channel->generation, 0);
  channels_.remove_if([channel](const Channel& each) { return &each == channel; });
}

}  // namespace sim
}  // namespace tofu
