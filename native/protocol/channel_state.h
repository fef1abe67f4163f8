// channel_state.h: the life of a connection as one table (protocol section 4).
// A state says three things: how far the connection is, what became of our own Bye, and whether the peer's Bye is here.
// Layer: protocol. Pure data and lookups; whoever runs a channel executes the actions and decides nothing beside them.
// Invariant: the same rows as lib/protocol/channel-state.ts, compared by a test; an event without a row cannot happen
// in that state, and next() asserts it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tofu {

enum class ChannelState : uint8_t {
  connecting,        // we dial
  greeting,          // accepted; its HelloRequest has not come, the application has not seen it
  open,
  bye_heard,         // the peer's ByeRequest is here, ours not posted
  bye_posted,        // our ByeRequest waits behind what is unsent
  bye_posted_heard,  // and the peer's Bye is here already
  bye_sent,          // our ByeRequest is in the kernel
  answer_posted,     // our ByeResponse waits, the peer has said no Bye
  answer_posted_heard,
  answer_sent,
  answer_sent_heard,
  finishing,         // both Byes are done: nothing to send, read to the end
  ended,             // no socket any more, what is left waits for the receiver
};
inline constexpr size_t kChannelStateCount = static_cast<size_t>(ChannelState::ended) + 1;

enum class ChannelEvent : uint8_t {
  connected,
  hello,  // a HelloRequest arrived
  data,   // a Request, Response, Signal or HelloResponse arrived
  bye_request,
  bye_response,
  post_bye,
  post_answer,
  bye_out,  // our own Bye is in the kernel
  eof,
  gone,  // the socket is lost, reset, aborted, or its deadline passed
};
inline constexpr size_t kChannelEventCount = static_cast<size_t>(ChannelEvent::gone) + 1;

/** What is done beside changing the state. */
enum class ChannelAction : uint8_t {
  none,
  deliver,
  drop,
  violation,       // reset
  deadline,        // the close deadline begins
  finish,          // shut down for writing, read to the end
  deliver_finish,  // deliver first
  conclude,        // as deliver_finish, and what is unsent comes back
  end,             // the connection is over
};
inline constexpr size_t kChannelActionCount = static_cast<size_t>(ChannelAction::end) + 1;

struct Transition {
  ChannelState state;
  ChannelAction action;
};

/** Whether the table has a row. */
bool possible(ChannelState state, ChannelEvent event);

/** The row for `event` in `state`. An impossible event is a bug of ours and asserts. */
Transition next(ChannelState state, ChannelEvent event);

/** Whether everything that still arrives is discarded: the peer's Bye is here. */
bool is_deaf(ChannelState state);

// The names TypeScript has for them.
const char* state_name(ChannelState state);
const char* event_name(ChannelEvent event);
const char* action_name(ChannelAction action);

}  // namespace tofu
