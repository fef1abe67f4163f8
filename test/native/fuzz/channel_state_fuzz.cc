// channel_state_fuzz.cc: the state table against what the protocol says in words, along any sequence of events.
// Input: one byte: dialled or accepted; then one event per byte. What cannot happen in a state is left out.
// Checked: a model with facts instead of states agrees with the table on what can happen and on what is done.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "protocol/channel_state.h"

namespace tofu {
namespace test {
namespace {

using S = ChannelState;
using E = ChannelEvent;
using A = ChannelAction;

/** A channel as the text of the protocol describes it: facts instead of states. */
struct Model {
  bool dialled;
  bool connected = false;
  bool greeted = false;
  bool posted = false;     // our Bye
  bool answered = false;   // and it was a ByeResponse
  bool out = false;        // and the kernel has it
  bool heard = false;      // the peer's Bye, of either kind
  bool concluded = false;  // the peer's was a ByeResponse
  bool finishing = false;
  bool ended = false;

  bool open() const { return !ended && (dialled ? connected : greeted); }

  bool may(E event) const {
    if (ended) return false;
    switch (event) {
      case E::connected:
        return dialled && !connected;
      case E::hello:
      case E::data:
      case E::bye_request:
      case E::bye_response:
      case E::eof:
        return !dialled || connected;
      case E::post_bye:
      case E::post_answer:
        return dialled && !connected ? true : open() && !posted && !finishing;
      case E::bye_out:
        return open() && posted && !out && !finishing;
      case E::gone:
        return true;
    }
    return false;
  }

  A happen(E event) {
    if (event == E::gone || event == E::eof) {
      ended = true;
      return A::end;
    }
    if (event == E::post_bye || event == E::post_answer) {
      // What is posted while connecting waits and counts from then on; the table is told again.
      if (!open()) return A::none;
      posted = true;
      answered = event == E::post_answer;
      return A::none;
    }
    if (event == E::connected) {
      connected = true;
      return A::none;
    }
    if (event == E::bye_out) {
      out = true;
      // Both Byes are done when the peer has ours and owes us nothing: an answer of ours leaves the closing to the
      // peer, unless the peer's own answer has come.
      if (heard && (!answered || concluded)) {
        finishing = true;
        return A::finish;
      }
      return A::deadline;
    }
    return arrive(event);
  }

  A arrive(E event) {
    if (!open()) {
      if (event != E::hello) {
        ended = true;
        return A::violation;
      }
      greeted = true;
      return A::deliver;
    }
    if (heard) return A::drop;
    if (event == E::hello) {
      ended = true;
      return A::violation;
    }
    if (event == E::data) return A::deliver;
    heard = true;
    concluded = event == E::bye_response;
    if (concluded && !posted) {
      finishing = true;
      return A::conclude;
    }
    if (out && (!answered || concluded)) {
      finishing = true;
      return A::deliver_finish;
    }
    return A::deliver;
  }
};

}  // namespace
}  // namespace test
}  // namespace tofu

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tofu::ChannelAction;
  using tofu::ChannelEvent;
  using tofu::ChannelState;
  if (size == 0) return 0;
  tofu::test::Model model{};
  model.dialled = data[0] % 2 == 0;
  ChannelState state = model.dialled ? ChannelState::connecting : ChannelState::greeting;
  for (size_t i = 1; i < size; i++) {
    for (size_t every = 0; every < tofu::kChannelEventCount; every++) {
      const ChannelEvent event = static_cast<ChannelEvent>(every);
      TOFU_ASSERT(tofu::possible(state, event) == model.may(event));
    }
    const ChannelEvent event = static_cast<ChannelEvent>(data[i] % tofu::kChannelEventCount);
    if (!tofu::possible(state, event)) continue;
    const tofu::Transition transition = tofu::next(state, event);
    TOFU_ASSERT(transition.action == model.happen(event));
    state = transition.state;
    TOFU_ASSERT((state == ChannelState::ended) == model.ended);
    TOFU_ASSERT((state == ChannelState::finishing) == (model.finishing && !model.ended));
    TOFU_ASSERT(tofu::is_deaf(state) == (model.heard && !model.ended));
  }
  return 0;
}
