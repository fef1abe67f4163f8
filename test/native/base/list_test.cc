// list_test.cc: items in one or two lists at a time, unlinked in any order, also while the list is walked.
#include "base/list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "protocol/seed.h"

namespace tofu {
namespace {

struct FirstNode : ListNode {};
struct SecondNode : ListNode {};
struct Item : FirstNode, SecondNode {};

struct Plain : ListNode {
  int number = 0;
};
using Plains = List<Plain, ListNode>;

std::vector<int> numbers_of(Plains* list) {
  std::vector<int> found;
  list->each([&](Plain* item) { found.push_back(item->number); });
  return found;
}

TEST(List, StartsEmpty) {
  Plains list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.front(), nullptr);
  EXPECT_EQ(list.take(), nullptr);
  EXPECT_TRUE(numbers_of(&list).empty());
}

TEST(List, TakesInTheOrderOfPushing) {
  Plains list;
  Plain items[3];
  for (Plain& item : items) list.push(&item);
  for (Plain& item : items) {
    EXPECT_TRUE(item.linked());
    EXPECT_EQ(list.front(), &item);
    EXPECT_EQ(list.take(), &item);
    EXPECT_FALSE(item.linked());
  }
  EXPECT_TRUE(list.empty());
}

TEST(List, LetsGoOfAnyItemAndTwiceIsHarmless) {
  for (int gone = 0; gone < 3; gone++) {
    Plains list;
    Plain items[3];
    for (int i = 0; i < 3; i++) {
      items[i].number = i;
      list.push(&items[i]);
    }
    items[gone].unlink();
    items[gone].unlink();
    std::vector<int> expected;
    for (int i = 0; i < 3; i++) {
      if (i != gone) expected.push_back(i);
    }
    EXPECT_EQ(numbers_of(&list), expected);
    list.push(&items[gone]);
    expected.push_back(gone);
    EXPECT_EQ(numbers_of(&list), expected);
    while (list.take() != nullptr) {
    }
  }
}

TEST(List, IsWalkedWhileItemsUnlinkThemselves) {
  Plains list;
  Plain items[6];
  for (int i = 0; i < 6; i++) {
    items[i].number = i;
    list.push(&items[i]);
  }
  int visited = 0;
  list.each([&](Plain* item) {
    visited++;
    if (item->number % 2 == 0) item->unlink();
  });
  EXPECT_EQ(visited, 6);
  EXPECT_EQ(numbers_of(&list), (std::vector<int>{1, 3, 5}));
  list.each([](Plain* item) { item->unlink(); });
  EXPECT_TRUE(list.empty());
}

TEST(List, HoldsAnItemThatIsInAnotherListByAnotherNode) {
  List<Item, FirstNode> first;
  List<Item, SecondNode> second;
  Item items[2];
  for (Item& item : items) first.push(&item);
  second.push(&items[1]);
  second.push(&items[0]);
  items[0].FirstNode::unlink();
  EXPECT_EQ(first.take(), &items[1]);
  EXPECT_TRUE(first.empty());
  EXPECT_EQ(second.take(), &items[1]);
  EXPECT_EQ(second.take(), &items[0]);
  EXPECT_TRUE(second.empty());
}

TEST(List, AgreesWithAVectorUnderRandomUse) {
  uint64_t seed = test::test_seed();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::vector<Plain> items(40);
  for (int i = 0; i < 40; i++) items[static_cast<size_t>(i)].number = i;
  Plains list;
  std::vector<int> model;
  for (int step = 0; step < 20'000; step++) {
    Plain& item = items[random() % items.size()];
    auto at = std::find(model.begin(), model.end(), item.number);
    ASSERT_EQ(item.linked(), at != model.end());
    if (at == model.end()) {
      list.push(&item);
      model.push_back(item.number);
    } else if (random() % 4 == 0) {
      ASSERT_EQ(list.take()->number, model.front());
      model.erase(model.begin());
    } else {
      item.unlink();
      model.erase(at);
    }
    if (step % 64 == 0) {
      ASSERT_EQ(numbers_of(&list), model);
    }
  }
  while (list.take() != nullptr) {
  }
}

}  // namespace
}  // namespace tofu
