// batch_functions.cc: arguments of the batch functions in, calls of the port, numbers out. Layer: addon. Thread: the
// environment's.
// Invariant: lengths in frames of JavaScript are believed only after are_whole_frames() has added them up.
#include "addon/batch_functions.h"

#include <algorithm>
#include <cmath>

#include "addon/arguments.h"
#include "core/engine.h"
#include "core/host_frame.h"
#include "core/port.h"
#include "protocol/constants.h"
#include "protocol/header.h"
#include "protocol/post_check.h"

namespace tofu {
namespace {

// What JavaScript sees of Run and Record are their words.
constexpr size_t kRunWords = 7;
constexpr size_t kRecordWords = 8;
/** In front of the records; see write_header_words(). */
constexpr size_t kHeaderWords = 8;
static_assert(sizeof(Run) == kRunWords * sizeof(uint32_t));
static_assert(sizeof(Record) == kRecordWords * sizeof(uint32_t));

/**
 * Longest time that waitSync() keeps the thread at once. Nothing can interrupt a thread in native code, and no hook
 * runs before a worker's JavaScript has ended: worker.terminate() and process.exit() take effect when the thread is
 * back in JavaScript, which goes on waiting by calling again.
 */
constexpr int64_t kWaitSliceMs = 50;

/** Whether these bytes are exactly that many whole frames: everything behind this relies on the lengths in them. */
bool are_whole_frames(const uint8_t* bytes, size_t length, uint32_t frames) {
  size_t at = 0;
  for (uint32_t frame = 0; frame < frames; frame++) {
    if (length - at < kHeaderBytes) return false;
    const size_t size = frame_length(bytes + at);
    if (length - at < size) return false;
    at += size;
  }
  return frames > 0 && at == length;
}

/** Whether it is for a channel there can be, and these bytes are its frames. */
bool is_whole_run(const Run& run, const uint8_t* bytes) {
  return run.channel >= kFirstChannel && run.channel <= kLastChannel && are_whole_frames(bytes, run.bytes, run.frames);
}

/** Whether the runs are for channels there can be, and lie in that memory. */
bool lie_within(const View<uint8_t>& memory, const Run* runs, size_t count) {
  size_t at = 0;
  for (size_t index = 0; index < count; index++) {
    const Run& run = runs[index];
    if (run.channel < kFirstChannel || run.channel > kLastChannel || !memory.holds(at, run.bytes)) return false;
    if (run.answers > run.frames) return false;
    at += run.bytes;
  }
  return true;
}

/** Turns what is staged into frames of the wire, where it is; the runs say how long they are then. false: not whole frames. */
bool pack(uint8_t* memory, Run* runs, size_t count, bool* data_only) {
  const uint8_t* from = memory;
  uint8_t* to = memory;
  for (size_t index = 0; index < count; index++) {
    Run& run = runs[index];
    const size_t packed = pack_host_frames(from, run.bytes, run.frames, static_cast<uint16_t>(run.channel), to, data_only);
    if (packed == 0) return false;
    from += run.bytes;
    to += packed;
    run.bytes = static_cast<uint32_t>(packed);
  }
  return true;
}

/** flush(port, staging, runs, count): settled total, or kNoMemory, kBadMemory. Both arrays are used up unless it is kNoMemory. */
napi_value flush(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  const View<uint8_t> staging = arguments.array<uint8_t>(1);
  const View<uint32_t> words = arguments.array<uint32_t>(2);
  const uint32_t count = arguments.number(3);
  if (!arguments.good()) return arguments.refuse("flush(port, Uint8Array, Uint32Array, number)");
  auto* runs = reinterpret_cast<Run*>(words.data);
  if (count > words.length / kRunWords || !lie_within(staging, runs, count)) return as_number(env, kBadMemory);
  Port& port = arguments.port();
  if (!port.has_room(runs, count)) return as_number(env, kNoMemory);
  bool data_only = true;
  if (!pack(staging.data, runs, count, &data_only)) return as_number(env, kBadMemory);
  if (!port.flush(staging.data, runs, count, data_only)) return as_number(env, kNoMemory);
  return as_number(env, port.settled());
}

/** send(port, memory, at, length, run): as flush, with one frame where it lies. */
napi_value send(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  const View<uint8_t> memory = arguments.array<uint8_t>(1);
  const uint32_t at = arguments.number(2);
  const uint32_t length = arguments.number(3);
  const View<uint32_t> words = arguments.array<uint32_t>(4);
  if (!arguments.good()) return arguments.refuse("send(port, Uint8Array, number, number, Uint32Array)");
  const auto* run = reinterpret_cast<const Run*>(words.data);
  if (words.length < kRunWords || run->bytes != length || run->answers > run->frames || !memory.holds(at, length) ||
      !is_whole_run(*run, memory.data + at)) {
    return as_number(env, kBadMemory);
  }
  Port& port = arguments.port();
  const bool data_only = are_data(memory.data + at, run->frames);
  if (!port.flush(memory.data + at, run, 1, data_only)) return as_number(env, kNoMemory);
  return as_number(env, port.settled());
}

/** update(port, group, memory, at, length): 1, 0: the group is gone, or kNoMemory, kBadMemory. */
napi_value update(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  const uint32_t group = arguments.number(1);
  const View<uint8_t> memory = arguments.array<uint8_t>(2);
  const uint32_t at = arguments.number(3);
  const uint32_t length = arguments.number(4);
  if (!arguments.good()) return arguments.refuse("update(port, number, Uint8Array, number, number)");
  if (!memory.holds(at, length) || !are_whole_frames(memory.data + at, length, 1)) return as_number(env, kBadMemory);
  Port& port = arguments.port();
  if (!port.engine().group_is_open(group)) return as_number(env, 0);
  return as_number(env, port.update(group, memory.data + at, length) ? 1 : kNoMemory);
}

/** command(port, kind, a, b, c): 1, or kNoMemory. */
napi_value command(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  const uint32_t kind = arguments.number(1);
  const uint32_t a = arguments.number(2);
  const uint32_t b = arguments.number(3);
  const uint32_t c = arguments.number(4);
  const bool known =
      kind >= static_cast<uint32_t>(Command::close_group) && kind <= static_cast<uint32_t>(Command::reclaim);
  if (!arguments.good() || !known) {
    return arguments.refuse("command(port, one of tables.commands, number, number, number)");
  }
  return as_number(env, arguments.port().command(static_cast<Command>(kind), a, b, c) ? 1 : kNoMemory);
}

void write_header_words(uint32_t* words, const DrainResult& result, uint32_t settled) {
  words[0] = result.records;
  words[1] = settled;
  words[2] = static_cast<uint32_t>(result.used);
  words[3] = result.more ? 1 : 0;
  words[4] = static_cast<uint32_t>(result.needed);
}

/** drain(port, slab, at, records): number of records, or kBadMemory. A slab that was detached is a full one. */
napi_value drain(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  const View<uint8_t> slab = arguments.array<uint8_t>(1);
  uint32_t at = arguments.number(2);
  const View<uint32_t> words = arguments.array<uint32_t>(3);
  if (!arguments.good()) return arguments.refuse("drain(port, Uint8Array, number, Uint32Array)");
  // Offsets are told in words of 32 bits.
  const size_t capacity = std::min<size_t>(slab.length, UINT32_MAX);
  // Whoever has a message can take the memory below it away; receiving goes on in the next slab.
  if (capacity == 0) at = 0;
  if (at > capacity || words.length < kHeaderWords + kRecordWords) return as_number(env, kBadMemory);
  Port& port = arguments.port();
  auto* records = reinterpret_cast<Record*>(words.data + kHeaderWords);
  const size_t room = (words.length - kHeaderWords) / kRecordWords;
  port.note_delivered(words.data[5], words.data[6]);
  const DrainResult result = port.drain(slab.data, at, capacity, records, room);
  write_header_words(words.data, result, port.settled());
  return as_number(env, result.records);
}

/** park(port): false: there is something to drain. */
napi_value park(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  if (!arguments.good()) return arguments.refuse("park(port)");
  return as_boolean(env, arguments.port().park());
}

napi_value unpark(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  if (!arguments.good()) return arguments.refuse("unpark(port)");
  arguments.port().unpark();
  return nullptr;
}

napi_value wants_spin(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  if (!arguments.good()) return arguments.refuse("wantsSpin(port)");
  return as_boolean(env, arguments.port().wants_spin());
}

/** spin(port): how a look for a moment longer ended, see LookResult. */
napi_value spin(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  if (!arguments.good()) return arguments.refuse("spin(port)");
  return as_number(env, static_cast<uint32_t>(arguments.port().spin()));
}

/** wantCredits(port): settled total. */
napi_value want_credits(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  if (!arguments.good()) return arguments.refuse("wantCredits(port)");
  return as_number(env, arguments.port().want_credits());
}

/** waitSync(port, timeoutMs): 1: something is there, 0: the timeout or kWaitSliceMs is over, 2: engine gone. */
napi_value wait_sync(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  const double timeout_ms = arguments.real(1);
  if (!arguments.good()) return arguments.refuse("waitSync(port, number)");
  // Rounded up: a wait for the last fraction of a millisecond is none of zero. Without limit: negative, and NaN.
  const bool sliced = !(timeout_ms >= 0 && timeout_ms < static_cast<double>(kWaitSliceMs));
  const int64_t slice_ms = sliced ? kWaitSliceMs : static_cast<int64_t>(std::ceil(timeout_ms));
  switch (arguments.port().wait(slice_ms)) {
    case WaitResult::ready: return as_number(env, 1);
    case WaitResult::gone: return as_number(env, 2);
    case WaitResult::timed_out: break;
  }
  return as_number(env, 0);
}

/** openChannel(port, group, listener, words): number, 0: none left; words[0] = generation. */
napi_value open_channel(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  const uint32_t group = arguments.number(1);
  const bool listener = arguments.boolean(2);
  const View<uint32_t> words = arguments.array<uint32_t>(3);
  if (!arguments.good() || words.length < 1) {
    return arguments.refuse("openChannel(port, number, boolean, Uint32Array[1])");
  }
  return as_number(env, arguments.port().open_channel(group, listener, words.data));
}

napi_value set_post_state(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  const uint32_t channel = arguments.number(1);
  const uint32_t state = arguments.number(2);
  const bool known = channel >= kFirstChannel && channel <= kLastChannel && state < kPostStateCount;
  if (!arguments.good() || !known) {
    return arguments.refuse("setPostState(port, channel, one of tables.postChannelStates)");
  }
  arguments.port().engine().set_post_state(channel, static_cast<uint8_t>(state));
  return nullptr;
}

/** postState(port, channel, words): one of tables.postChannelStates; words[0] = group, words[1] = generation. */
napi_value post_state(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  const uint32_t channel = arguments.number(1);
  const View<uint32_t> words = arguments.array<uint32_t>(2);
  if (!arguments.good() || words.length < 2) return arguments.refuse("postState(port, number, Uint32Array[2])");
  words.data[0] = words.data[1] = 0;
  // The application chooses this number: there need not be such a channel.
  if (channel < kFirstChannel || channel > kLastChannel) {
    return as_number(env, static_cast<uint32_t>(PostState::unknown));
  }
  const Engine& engine = arguments.port().engine();
  return as_number(env, static_cast<uint32_t>(engine.post_state(channel, &words.data[0], &words.data[1])));
}

/** unsentAnswers(port, channel): how many posted answers may still be sent. */
napi_value unsent_answers(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  const uint32_t channel = arguments.number(1);
  if (!arguments.good() || channel < kFirstChannel || channel > kLastChannel) {
    return arguments.refuse("unsentAnswers(port, channel)");
  }
  return as_number(env, arguments.port().engine().unsent_answers(channel));
}

}  // namespace

bool export_batch_functions(napi_env env, napi_value exports, AddonState* state) {
  struct Export {
    const char* name;
    napi_callback function;
  };
  constexpr Export kExports[] = {
      {"flush", flush},
      {"send", send},
      {"update", update},
      {"command", command},
      {"drain", drain},
      {"park", park},
      {"unpark", unpark},
      {"wantsSpin", wants_spin},
      {"spin", spin},
      {"wantCredits", want_credits},
      {"waitSync", wait_sync},
      {"openChannel", open_channel},
      {"setPostState", set_post_state},
      {"postState", post_state},
      {"unsentAnswers", unsent_answers},
  };
  for (const Export& each : kExports) {
    napi_value function = nullptr;
    const auto made = napi_create_function(env, each.name, NAPI_AUTO_LENGTH, each.function, state, &function);
    if (made != napi_ok || napi_set_named_property(env, exports, each.name, function) != napi_ok) return false;
  }
  return true;
}

}  // namespace tofu
