// channel_state_test.cc: the table as a whole, and the walks of a channel through it. That its rows are TypeScript's is
// another test's matter, which needs both.
#include "protocol/channel_state.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <set>
#include <string>

namespace tofu {
namespace {

using S = ChannelState;
using E = ChannelEvent;
using A = ChannelAction;

template <typename Visit>
void for_each_cell(Visit visit) {
  for (size_t state = 0; state < kChannelStateCount; state++) {
    for (size_t event = 0; event < kChannelEventCount; event++) {
      visit(static_cast<S>(state), static_cast<E>(event));
    }
  }
}

struct Step {
  E event;
  S state;
  A action;
};

void expect_walk(S from, std::initializer_list<Step> steps) {
  S state = from;
  for (const Step& step : steps) {
    SCOPED_TRACE(std::string(event_name(step.event)) + " in " + state_name(state));
    ASSERT_TRUE(possible(state, step.event));
    const Transition transition = next(state, step.event);
    ASSERT_STREQ(state_name(transition.state), state_name(step.state));
    ASSERT_STREQ(action_name(transition.action), action_name(step.action));
    state = transition.state;
  }
}

TEST(ChannelTable, HasANameOfItsOwnForEverything) {
  std::set<std::string> names;
  for (size_t i = 0; i < kChannelStateCount; i++) names.insert(state_name(static_cast<S>(i)));
  EXPECT_EQ(names.size(), 13u);
  names.clear();
  for (size_t i = 0; i < kChannelEventCount; i++) names.insert(event_name(static_cast<E>(i)));
  EXPECT_EQ(names.size(), 10u);
  names.clear();
  for (size_t i = 0; i < kChannelActionCount; i++) names.insert(action_name(static_cast<A>(i)));
  EXPECT_EQ(names.size(), 9u);
  EXPECT_STREQ(state_name(S::answer_posted_heard), "answerPostedHeard");
  EXPECT_STREQ(event_name(E::bye_out), "byeOut");
  EXPECT_STREQ(action_name(A::deliver_finish), "deliverFinish");
}

TEST(ChannelTable, CanReachEveryStateAndUsesEveryAction) {
  std::set<S> reached = {S::connecting, S::greeting};
  std::set<A> used;
  for (size_t before = 0; before != reached.size();) {
    before = reached.size();
    for_each_cell([&](S state, E event) {
      if (reached.count(state) == 0 || !possible(state, event)) return;
      reached.insert(next(state, event).state);
      used.insert(next(state, event).action);
    });
  }
  EXPECT_EQ(reached.size(), kChannelStateCount);
  EXPECT_EQ(used.size(), kChannelActionCount);
}

TEST(ChannelTable, EndsAnywhereWhenTheSocketIsGoneAndNothingHappensAfterThat) {
  for_each_cell([](S state, E event) {
    SCOPED_TRACE(std::string(event_name(event)) + " in " + state_name(state));
    if (state == S::ended) {
      EXPECT_FALSE(possible(state, event));
    } else if (event == E::gone || (event == E::eof && state != S::connecting)) {
      ASSERT_TRUE(possible(state, event));
      EXPECT_EQ(next(state, event).state, S::ended);
      EXPECT_EQ(next(state, event).action, A::end);
    } else if (possible(state, event)) {
      EXPECT_EQ(next(state, event).state == S::ended, next(state, event).action == A::violation);
    }
  });
}

TEST(ChannelTable, HasAnAnswerForWhateverAPeerSends) {
  for_each_cell([](S state, E event) {
    if (event != E::hello && event != E::data && event != E::bye_request && event != E::bye_response) return;
    // Before the connection is there nothing can come, and after its end nothing is read.
    EXPECT_EQ(possible(state, event), state != S::connecting && state != S::ended)
        << event_name(event) << " in " << state_name(state);
  });
}

TEST(ChannelTable, IsDeafFromThePeersByeOn) {
  for (size_t i = 0; i < kChannelStateCount; i++) {
    const S state = static_cast<S>(i);
    const bool heard = state == S::bye_heard || state == S::bye_posted_heard || state == S::answer_posted_heard ||
                       state == S::answer_sent_heard || state == S::finishing;
    EXPECT_EQ(is_deaf(state), heard) << state_name(state);
    if (!heard) continue;
    for (E event : {E::hello, E::data, E::bye_request, E::bye_response}) {
      EXPECT_EQ(next(state, event).action, A::drop);
      EXPECT_EQ(next(state, event).state, state);
    }
  }
}

TEST(ChannelTable, KnowsTheGracefulEndFromBothSides) {
  expect_walk(S::connecting, {{E::post_bye, S::connecting, A::none},
                              {E::connected, S::open, A::none},
                              {E::data, S::open, A::deliver},
                              {E::post_bye, S::bye_posted, A::none},
                              {E::data, S::bye_posted, A::deliver},
                              {E::bye_out, S::bye_sent, A::deadline},
                              {E::bye_response, S::finishing, A::deliver_finish},
                              {E::data, S::finishing, A::drop},
                              {E::eof, S::ended, A::end}});
  expect_walk(S::greeting, {{E::hello, S::open, A::deliver},
                            {E::bye_request, S::bye_heard, A::deliver},
                            {E::post_answer, S::answer_posted_heard, A::none},
                            {E::bye_out, S::answer_sent_heard, A::deadline},
                            {E::eof, S::ended, A::end}});
}

TEST(ChannelTable, KnowsByesThatCrossAndAnswersNobodyAskedFor) {
  expect_walk(S::open, {{E::post_bye, S::bye_posted, A::none},
                        {E::bye_request, S::bye_posted_heard, A::deliver},
                        {E::bye_out, S::finishing, A::finish},
                        {E::eof, S::ended, A::end}});
  expect_walk(S::open, {{E::post_bye, S::bye_posted, A::none},
                        {E::bye_out, S::bye_sent, A::deadline},
                        {E::bye_request, S::finishing, A::deliver_finish},
                        {E::gone, S::ended, A::end}});
  expect_walk(S::open, {{E::bye_response, S::finishing, A::conclude}, {E::eof, S::ended, A::end}});
  expect_walk(S::open, {{E::post_answer, S::answer_posted, A::none},
                        {E::bye_response, S::bye_posted_heard, A::deliver},
                        {E::bye_out, S::finishing, A::finish}});
  expect_walk(S::open, {{E::post_answer, S::answer_posted, A::none},
                        {E::bye_out, S::answer_sent, A::deadline},
                        {E::bye_request, S::answer_sent_heard, A::deliver},
                        {E::eof, S::ended, A::end}});
}

TEST(ChannelTable, ResetsAPeerThatBeginsWrongOrGreetsTwice) {
  for (E event : {E::data, E::bye_request, E::bye_response}) {
    expect_walk(S::greeting, {{event, S::ended, A::violation}});
  }
  for (S state : {S::open, S::bye_posted, S::bye_sent, S::answer_posted, S::answer_sent}) {
    expect_walk(state, {{E::hello, S::ended, A::violation}});
  }
}

TEST(ChannelTableDeathTest, AssertsThatTheImpossibleDoesNotHappen) {
  EXPECT_DEATH(next(S::ended, E::data), "channel_state\\.cc:[0-9]+");
  EXPECT_DEATH(next(S::connecting, E::eof), "channel_state\\.cc:[0-9]+");
  EXPECT_DEATH(next(S::bye_posted, E::post_bye), "channel_state\\.cc:[0-9]+");
  EXPECT_DEATH(next(static_cast<S>(kChannelStateCount), E::data), "channel_state\\.cc:[0-9]+");
  EXPECT_DEATH(state_name(static_cast<S>(kChannelStateCount)), "channel_state\\.cc:[0-9]+");
}

}  // namespace
}  // namespace tofu
