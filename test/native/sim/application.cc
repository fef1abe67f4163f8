// application.cc: what an application thread does of its own accord: posting, opening, closing.
#include "sim/application.h"

#include <cstring>

#include "protocol/post_check.h"

namespace tofu {
namespace sim {

namespace {
/** From here on a frame goes to the port by itself, as in JavaScript. */
constexpr size_t kLargeBytes = 4096;
constexpr size_t kStagingBytes = 64 * 1024;
constexpr size_t kMostGroups = 3;
constexpr size_t kMostChannels = 12;
}  // namespace

void Application::attach(Engine* engine) {
  engine_ = engine;
  port_ = engine->attach_for_test(this);
  if (port_ == nullptr) return;  // no memory
  if (uint32_t id = port_->open_group(); id != 0) groups_[id].id = id;
}

void Application::ring() {
  parked_ = false;
  world_.activity++;
}

void Application::act(const std::vector<std::unique_ptr<Application>>& all) {
  if (port_ == nullptr || gone_) return;
  Application* owner = this;
  if (world_.random.chance(300)) {
    Application* other = all[world_.random.below(all.size())].get();
    if (other->engine_number_ == engine_number_ && other->attached() && !other->gone_) owner = other;
  }
  size_t choice = world_.random.below(100);
  if (choice < 28) {
    if (parked_ && world_.random.chance(800)) look();
    else if (!drain() && world_.random.chance(300)) parked_ = port_->park();
  } else if (choice < 58) {
    if (Group* group = any_group()) {
      for (size_t left = world_.random.below(20); left > 0 && take(group); left--) {
      }
    }
  } else if (choice < 78) {
    Channel* channel = owner->any_channel();
    if (channel == nullptr) return;
    Group* group = owner->group_of(channel->group);
    constexpr OpCode kOps[] = {OpCode::request, OpCode::response, OpCode::signal, OpCode::hello_response};
    for (size_t left = world_.random.between(1, 12); left > 0; left--) {
      size_t body = world_.random.chance(900) ? world_.random.below(60) : world_.random.below(max_body);
      post(group, channel, owner, kOps[world_.random.below(std::size(kOps))], "", body);
    }
    if (world_.random.chance(500)) flush();
  } else if (choice < 84) {
    flush();
  } else if (choice < 90) {
    connect(owner);
  } else if (choice < 92) {
    listen(owner);
  } else if (choice < 96) {
    if (Channel* channel = owner->any_channel()) say_bye(owner, channel);
  } else if (choice < 98) {
    if (world_.random.chance(300)) starve();
    else update(owner);
  } else if (choice < 99) {
    Channel* channel = owner->any_channel();
    if (channel != nullptr && world_.random.chance(400)) abort(owner, channel);
  } else if (groups_.size() < kMostGroups) {
    uint32_t id = port_->open_group();
    if (id != 0) groups_[id].id = id;
  } else if (world_.random.chance(300)) {
    if (Group* group = any_group()) close_group(group);
  }
}

// ── posting ──

bool Application::may_post(const Channel& channel) const {
  uint32_t group = 0;
  uint32_t generation = 0;
  uint8_t state = engine_->post_state(channel.number, &group, &generation);
  return !channel.told && !channel.listener && group == channel.group && generation == channel.generation &&
         state == static_cast<uint8_t>(PostState::open);
}

void Application::post(Group* group, Channel* channel, Application* owner, OpCode op, const std::string& headers,
                       size_t body) {
  bool order = op == OpCode::bye_signal;
  bool opens = op == OpCode::hello_request || op == OpCode::welcome_request;
  if (group == nullptr || group->closing || channel->told || (!order && !opens && !may_post(*channel))) return;
  HeaderFields fields;
  fields.channel = static_cast<uint16_t>(channel->number);
  fields.flags = static_cast<uint8_t>(op);
  if (op <= OpCode::signal && world_.random.chance(100)) fields.flags |= kMoreBit;
  fields.id = opens ? channel->life->opener : ledger_.new_id();
  fields.headers_length = static_cast<uint16_t>(headers.size());
  fields.body_length = static_cast<uint16_t>(body);
  std::string frame(kHeaderBytes, '\0');
  write_header(reinterpret_cast<uint8_t*>(&frame[0]), fields);
  frame += headers;
  for (size_t i = 0; i < body; i++) frame += static_cast<char>(fields.id * 31 + i * 7);
  const auto* bytes = reinterpret_cast<const uint8_t*>(frame.data());
  ledger_.on_posted(number_, channel->life, bytes);
  world_.log("port %d posts %d as %llu to channel %u.%u, %zu bytes", number_, static_cast<int>(op),
             static_cast<unsigned long long>(fields.id), channel->number, channel->generation, frame.size());
  if (is_bye(op)) engine_->set_post_state(channel->number, static_cast<uint8_t>(PostState::bye_posted));
  if (owner == this && channel->acknowledged) {
    if (!order) channel->late.push_back(frame);
    return;
  }
  Run run{channel->number, channel->generation, static_cast<uint32_t>(frame.size()), 1, 0, channel->group, 0};
  if (!groups_.empty() && world_.random.chance(50)) run.tag = groups_.begin()->first;
  if (world_.random.chance(300)) run.answers = 1;
  stage(run, frame);
}

void Application::stage(const Run& run, const std::string& frame) {
  if (staging_.size() + frame.size() > kStagingBytes || frame.size() >= kLargeBytes) flush();
  Run* last = runs_.empty() ? nullptr : &runs_.back();
  if (last != nullptr && last->channel == run.channel && last->generation == run.generation && last->tag == run.tag &&
      last->group == run.group) {
    last->bytes += run.bytes;
    last->frames++;
    last->answers += run.answers;
  } else {
    runs_.push_back(run);
  }
  staging_ += frame;
  if (frame.size() >= kLargeBytes) flush();
}

void Application::flush() {
  if (runs_.empty() || port_ == nullptr) return;
  uint32_t frames = 0;
  for (const Run& run : runs_) frames += run.frames;
  flushed_ += frames;
  world_.activity++;
  const auto* bytes = reinterpret_cast<const uint8_t*>(staging_.data());
  if (!port_->flush(bytes, runs_.data(), runs_.size(), are_data(bytes, frames))) {
    world_.fail("port %d: flush refused", number_);
  }
  runs_.clear();
  staging_.clear();
}

std::string Application::address() const {
  std::vector<std::string> known = kernel_.listening();
  size_t choice = world_.random.below(20);
  if (choice == 0 || known.empty()) return "uds|/nobody";
  if (choice == 1) return "tcp|127.0.0.1|1";
  if (choice == 2) return "nonsense";
  if (choice == 3) return "tcp|none|5";
  const std::string& name = known[world_.random.below(known.size())];
  if (name[0] == 'u') return name;
  std::string port = name.substr(name.find('|'));
  return (world_.random.chance(300) ? "tcp|some.name" : "tcp|127.0.0.1") + port;
}

void Application::connect(Application* owner) {
  if (owner->channels_.size() < kMostChannels) open(owner, false, address());
}

void Application::listen(Application* owner) {
  constexpr const char* kAddresses[] = {"tcp|127.0.0.1|0", "tcp||0", "tcp|127.0.0.1|7001", "uds|/one", "uds|@two",
                                        "uds|/three",      "bad",    "tcp|none|0",         "tcp|some.name|7002"};
  if (owner->channels_.size() < kMostChannels) {
    open(owner, true, kAddresses[world_.random.below(std::size(kAddresses))]);
  }
}

void Application::open(Application* owner, bool listener, const std::string& address) {
  Group* group = owner->any_group();
  if (group == nullptr) return;
  uint32_t generation = 0;
  uint32_t number = port_->open_channel(group->id, listener, &generation);
  if (number == 0) return;
  PostState state = listener ? PostState::listener : PostState::open;
  engine_->set_post_state(number, static_cast<uint8_t>(state));
  Channel channel;
  channel.number = number;
  channel.generation = generation;
  channel.group = group->id;
  channel.listener = listener;
  channel.life = ledger_.open(engine_number_, group->id, number, generation, listener, ledger_.new_id());
  std::string headers = std::string(listener ? kListenOn : kConnectTo) + ":" + address + "\r\n";
  OpCode op = listener ? OpCode::welcome_request : OpCode::hello_request;
  // The owner hears of a channel that another thread has opened by a record.
  if (owner == this) channels_.push_back(channel);
  post(group, &channel, owner, op, headers, world_.random.below(30));
  if (!listener && world_.random.chance(600)) {
    for (size_t left = world_.random.below(4); left > 0; left--) {
      post(group, &channel, owner, OpCode::request, "", world_.random.below(50));
    }
    if (world_.random.chance(150)) post(group, &channel, owner, OpCode::bye_request, "", 0);
    else if (world_.random.chance(50)) post(group, &channel, owner, OpCode::bye_response, "", 0);
  }
  if (world_.random.chance(700)) flush();
}

void Application::say_bye(Application* owner, Channel* channel) {
  if (channel->listener) return;
  bool answer = channel->bye_heard ? world_.random.chance(700) : world_.random.chance(500);
  post(owner->group_of(channel->group), channel, owner, answer ? OpCode::bye_response : OpCode::bye_request, "",
       world_.random.below(20));
  if (world_.random.chance(500)) flush();
}

void Application::abort(Application* owner, Channel* channel) {
  channel->aborted = true;
  channel->life->disturbed = true;
  post(owner->group_of(channel->group), channel, owner, OpCode::bye_signal, "", 0);
}

void Application::update(Application* owner) {
  Group* group = owner->any_group();
  if (group == nullptr) return;
  HeaderFields fields;
  fields.id = kUpdateId | static_cast<uint64_t>(number_) << kSenderShift | ++next_update_;
  fields.status = Status::receiver_update;
  uint8_t frame[kHeaderBytes];
  write_header(frame, fields);
  if (!port_->update(group->id, frame, sizeof frame)) world_.fail("port %d: update refused", number_);
}

void Application::command(Command kind, uint32_t a, uint32_t b, uint32_t c) {
  world_.activity++;
  world_.log("port %d command %d %u %u %u", number_, static_cast<int>(kind), a, b, c);
  if (!port_->command(kind, a, b, c)) world_.fail("port %d: command refused", number_);
}

void Application::close_group(Group* group) {
  flush();
  group->closing = true;
  group->mail.clear();
  ledger_.drop_group(engine_number_, group->id);
  for (auto channel = channels_.begin(); channel != channels_.end();) {
    if (channel->group == group->id) channel = channels_.erase(channel);
    else ++channel;
  }
  command(Command::close_group, group->id, 0, 0);
}

// ── the end ──

void Application::settle_down() {
  if (port_ == nullptr || gone_) return;
  while (drain()) {
  }
  for (auto& [id, group] : groups_) {
    while (!group.closing && take(&group)) {
    }
  }
  for (Channel& channel : channels_) {
    if (channel.over || channel.told) continue;
    if (channel.listener && !channel.aborted) abort(this, &channel);
    OpCode bye = channel.bye_heard ? OpCode::bye_response : OpCode::bye_request;
    if (!channel.listener) post(group_of(channel.group), &channel, this, bye, "", 0);
  }
  flush();
  if (!parked_) parked_ = port_->park();
}

bool Application::is_settled() const {
  if (port_ == nullptr || gone_) return true;
  for (auto& [id, group] : groups_) {
    if (group.closing) return false;
  }
  return channels_.empty() && runs_.empty();
}

std::string Application::unsettled() const {
  std::string text;
  for (auto& [id, group] : groups_) {
    if (group.closing) text += " group " + std::to_string(id);
  }
  for (const Channel& channel : channels_) {
    text += " channel " + std::to_string(channel.number) + "." + std::to_string(channel.generation) +
            (channel.listener ? " (listener)" : "") + (channel.over ? " over" : "") +
            (channel.acknowledged ? " acknowledged" : "") + (channel.last ? " last" : "");
  }
  return text;
}

void Application::close_groups() {
  if (port_ == nullptr || gone_) return;
  for (auto& [id, group] : groups_) {
    if (!group.closing) close_group(&group);
  }
}

void Application::expect_end() {
  flush();
  for (auto& [id, group] : groups_) {
    group.mail.clear();
    group.closing = true;
    ledger_.drop_group(engine_number_, id);
  }
  channels_.clear();
}

/** As if a receiver of this thread had no message left. */
void Application::starve() {
  starved_ = true;
  command(Command::reclaim, 0, 0, 0);
}

void Application::destroy_engine() { command(Command::destroy_engine, 0, 0, 0); }

void Application::detach() {
  expect_end();
  Engine::detach(port_);
  port_ = nullptr;
}

uint32_t Application::exhaust_numbers() {
  uint32_t id = port_->open_group();
  uint32_t opened = 0;
  uint32_t generation = 0;
  while (port_->open_channel(id, false, &generation) != 0) opened++;
  command(Command::close_group, id, 0, 0);
  groups_[id].id = id;
  groups_[id].closing = true;
  return opened;
}

void Application::check_end(bool balanced) {
  if (!balanced) return;
  uint32_t settled = static_cast<uint32_t>(port_->settled() + tagged_ + brought_back_);
  if (settled != static_cast<uint32_t>(flushed_)) {
    world_.fail("port %d posted %u messages, and %u are settled or returned", number_, static_cast<uint32_t>(flushed_),
                settled);
  }
  uint32_t open = port_->open_sockets();
  if (open != 0) world_.fail("port %d counts %u open sockets at the end", number_, open);
}

}  // namespace sim
}  // namespace tofu
