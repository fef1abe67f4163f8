// channel_state.cc: the table of the life of a connection, row by row as in lib/protocol/channel-state.ts.
#include "protocol/channel_state.h"

#include "base/assert.h"

namespace tofu {
namespace {

using S = ChannelState;
using E = ChannelEvent;
using A = ChannelAction;

struct Row {
  S state;
  E event;
  S next;
  A action;
};

constexpr Row kRows[] = {
    {S::connecting, E::connected, S::open, A::none},
    {S::connecting, E::post_bye, S::connecting, A::none},
    {S::connecting, E::post_answer, S::connecting, A::none},
    {S::connecting, E::gone, S::ended, A::end},

    {S::greeting, E::hello, S::open, A::deliver},
    {S::greeting, E::data, S::ended, A::violation},
    {S::greeting, E::bye_request, S::ended, A::violation},
    {S::greeting, E::bye_response, S::ended, A::violation},
    {S::greeting, E::eof, S::ended, A::end},
    {S::greeting, E::gone, S::ended, A::end},

    {S::open, E::hello, S::ended, A::violation},
    {S::open, E::data, S::open, A::deliver},
    {S::open, E::bye_request, S::bye_heard, A::deliver},
    {S::open, E::bye_response, S::finishing, A::conclude},
    {S::open, E::post_bye, S::bye_posted, A::none},
    {S::open, E::post_answer, S::answer_posted, A::none},
    {S::open, E::eof, S::ended, A::end},
    {S::open, E::gone, S::ended, A::end},

    {S::bye_heard, E::hello, S::bye_heard, A::drop},
    {S::bye_heard, E::data, S::bye_heard, A::drop},
    {S::bye_heard, E::bye_request, S::bye_heard, A::drop},
    {S::bye_heard, E::bye_response, S::bye_heard, A::drop},
    {S::bye_heard, E::post_bye, S::bye_posted_heard, A::none},
    {S::bye_heard, E::post_answer, S::answer_posted_heard, A::none},
    {S::bye_heard, E::eof, S::ended, A::end},
    {S::bye_heard, E::gone, S::ended, A::end},

    {S::bye_posted, E::hello, S::ended, A::violation},
    {S::bye_posted, E::data, S::bye_posted, A::deliver},
    {S::bye_posted, E::bye_request, S::bye_posted_heard, A::deliver},
    {S::bye_posted, E::bye_response, S::bye_posted_heard, A::deliver},
    {S::bye_posted, E::bye_out, S::bye_sent, A::deadline},
    {S::bye_posted, E::eof, S::ended, A::end},
    {S::bye_posted, E::gone, S::ended, A::end},

    {S::bye_posted_heard, E::hello, S::bye_posted_heard, A::drop},
    {S::bye_posted_heard, E::data, S::bye_posted_heard, A::drop},
    {S::bye_posted_heard, E::bye_request, S::bye_posted_heard, A::drop},
    {S::bye_posted_heard, E::bye_response, S::bye_posted_heard, A::drop},
    {S::bye_posted_heard, E::bye_out, S::finishing, A::finish},
    {S::bye_posted_heard, E::eof, S::ended, A::end},
    {S::bye_posted_heard, E::gone, S::ended, A::end},

    {S::bye_sent, E::hello, S::ended, A::violation},
    {S::bye_sent, E::data, S::bye_sent, A::deliver},
    {S::bye_sent, E::bye_request, S::finishing, A::deliver_finish},
    {S::bye_sent, E::bye_response, S::finishing, A::deliver_finish},
    {S::bye_sent, E::eof, S::ended, A::end},
    {S::bye_sent, E::gone, S::ended, A::end},

    {S::answer_posted, E::hello, S::ended, A::violation},
    {S::answer_posted, E::data, S::answer_posted, A::deliver},
    {S::answer_posted, E::bye_request, S::answer_posted_heard, A::deliver},
    {S::answer_posted, E::bye_response, S::bye_posted_heard, A::deliver},
    {S::answer_posted, E::bye_out, S::answer_sent, A::deadline},
    {S::answer_posted, E::eof, S::ended, A::end},
    {S::answer_posted, E::gone, S::ended, A::end},

    {S::answer_posted_heard, E::hello, S::answer_posted_heard, A::drop},
    {S::answer_posted_heard, E::data, S::answer_posted_heard, A::drop},
    {S::answer_posted_heard, E::bye_request, S::answer_posted_heard, A::drop},
    {S::answer_posted_heard, E::bye_response, S::answer_posted_heard, A::drop},
    {S::answer_posted_heard, E::bye_out, S::answer_sent_heard, A::deadline},
    {S::answer_posted_heard, E::eof, S::ended, A::end},
    {S::answer_posted_heard, E::gone, S::ended, A::end},

    {S::answer_sent, E::hello, S::ended, A::violation},
    {S::answer_sent, E::data, S::answer_sent, A::deliver},
    {S::answer_sent, E::bye_request, S::answer_sent_heard, A::deliver},
    {S::answer_sent, E::bye_response, S::finishing, A::deliver_finish},
    {S::answer_sent, E::eof, S::ended, A::end},
    {S::answer_sent, E::gone, S::ended, A::end},

    {S::answer_sent_heard, E::hello, S::answer_sent_heard, A::drop},
    {S::answer_sent_heard, E::data, S::answer_sent_heard, A::drop},
    {S::answer_sent_heard, E::bye_request, S::answer_sent_heard, A::drop},
    {S::answer_sent_heard, E::bye_response, S::answer_sent_heard, A::drop},
    {S::answer_sent_heard, E::eof, S::ended, A::end},
    {S::answer_sent_heard, E::gone, S::ended, A::end},

    {S::finishing, E::hello, S::finishing, A::drop},
    {S::finishing, E::data, S::finishing, A::drop},
    {S::finishing, E::bye_request, S::finishing, A::drop},
    {S::finishing, E::bye_response, S::finishing, A::drop},
    {S::finishing, E::eof, S::ended, A::end},
    {S::finishing, E::gone, S::ended, A::end},
};

constexpr const char* kStateNames[] = {
    "connecting", "greeting", "open", "byeHeard", "byePosted", "byePostedHeard", "byeSent", "answerPosted",
    "answerPostedHeard", "answerSent", "answerSentHeard", "finishing", "ended",
};
constexpr const char* kEventNames[] = {
    "connected", "hello", "data", "byeRequest", "byeResponse", "postBye", "postAnswer", "byeOut", "eof", "gone",
};
constexpr const char* kActionNames[] = {
    "none", "deliver", "drop", "violation", "deadline", "finish", "deliverFinish", "conclude", "end",
};
static_assert(sizeof(kStateNames) / sizeof(kStateNames[0]) == kChannelStateCount, "one name per state");
static_assert(sizeof(kEventNames) / sizeof(kEventNames[0]) == kChannelEventCount, "one name per event");
static_assert(sizeof(kActionNames) / sizeof(kActionNames[0]) == kChannelActionCount, "one name per action");

/** The rows by state and event, so that a lookup is one load. */
struct Table {
  struct Cell {
    Transition transition = {S::ended, A::none};
    bool possible = false;
  };
  Cell cells[kChannelStateCount][kChannelEventCount] = {};
  bool has_one_row_per_cell = true;

  constexpr Table() {
    for (const Row& row : kRows) {
      Cell& cell = cells[static_cast<size_t>(row.state)][static_cast<size_t>(row.event)];
      if (cell.possible) has_one_row_per_cell = false;
      cell = {{row.next, row.action}, true};
    }
  }
};
constexpr Table kTable;
static_assert(kTable.has_one_row_per_cell, "two rows for one event in one state");

const Table::Cell& cell_of(ChannelState state, ChannelEvent event) {
  const size_t row = static_cast<size_t>(state);
  const size_t column = static_cast<size_t>(event);
  TOFU_ASSERT(row < kChannelStateCount && column < kChannelEventCount);
  return kTable.cells[row][column];
}

}  // namespace

bool possible(ChannelState state, ChannelEvent event) {
  return cell_of(state, event).possible;
}

Transition next(ChannelState state, ChannelEvent event) {
  const Table::Cell& cell = cell_of(state, event);
  TOFU_ASSERT(cell.possible);
  return cell.transition;
}

bool is_deaf(ChannelState state) {
  return cell_of(state, ChannelEvent::data).transition.action == ChannelAction::drop;
}

const char* state_name(ChannelState state) {
  TOFU_ASSERT(static_cast<size_t>(state) < kChannelStateCount);
  return kStateNames[static_cast<size_t>(state)];
}

const char* event_name(ChannelEvent event) {
  TOFU_ASSERT(static_cast<size_t>(event) < kChannelEventCount);
  return kEventNames[static_cast<size_t>(event)];
}

const char* action_name(ChannelAction action) {
  TOFU_ASSERT(static_cast<size_t>(action) < kChannelActionCount);
  return kActionNames[static_cast<size_t>(action)];
}

}  // namespace tofu
