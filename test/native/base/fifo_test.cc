// fifo_test.cc: first in, first out, from both ends and over appended lists.
#include "base/fifo.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "protocol/seed.h"

namespace tofu {
namespace {

struct Item {
  Item* next = nullptr;
  int number = 0;
};

TEST(Fifo, StartsEmpty) {
  Fifo<Item> list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.front(), nullptr);
  EXPECT_EQ(list.back(), nullptr);
  EXPECT_EQ(list.take(), nullptr);
}

TEST(Fifo, IsUsableAgainAfterItWasEmptied) {
  Fifo<Item> list;
  Item items[3];
  for (int round = 0; round < 3; round++) {
    for (Item& item : items) list.push(&item);
    for (Item& item : items) EXPECT_EQ(list.take(), &item);
    EXPECT_TRUE(list.empty());
    EXPECT_EQ(list.back(), nullptr);
  }
}

TEST(Fifo, ForgetsTheNeighboursOfWhatIsTaken) {
  Fifo<Item> list;
  Item items[2];
  for (Item& item : items) list.push(&item);
  EXPECT_EQ(list.take()->next, nullptr);
}

TEST(Fifo, AppendsAndEmptiesTheOther) {
  for (int here = 0; here < 3; here++) {
    for (int there = 0; there < 3; there++) {
      Fifo<Item> list;
      Fifo<Item> other;
      Item items[7];
      int used = 0;
      for (int i = 0; i < here; i++) list.push(&items[used++]);
      for (int i = 0; i < there; i++) other.push(&items[used++]);
      list.append(other);
      EXPECT_TRUE(other.empty());
      list.push(&items[used++]);
      other.push(&items[6]);
      EXPECT_EQ(list.back(), &items[used - 1]);
      for (int i = 0; i < used; i++) EXPECT_EQ(list.take(), &items[i]);
      EXPECT_EQ(list.take(), nullptr);
      EXPECT_EQ(other.take(), &items[6]);
    }
  }
}

TEST(Fifo, AgreesWithADequeUnderRandomUse) {
  uint64_t seed = test::test_seed();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::vector<Item> items(64);
  std::vector<Item*> free;
  for (Item& item : items) free.push_back(&item);
  Fifo<Item> list;
  std::deque<Item*> model;
  for (int step = 0; step < 20'000; step++) {
    uint64_t what = random() % 3;
    if (what < 2 && !free.empty()) {
      Item* item = free.back();
      free.pop_back();
      if (what == 0) {
        list.push(item);
        model.push_back(item);
      } else {
        list.push_front(item);
        model.push_front(item);
      }
    } else if (!model.empty()) {
      ASSERT_EQ(list.take(), model.front());
      free.push_back(model.front());
      model.pop_front();
    }
    ASSERT_EQ(list.empty(), model.empty());
    ASSERT_EQ(list.front(), model.empty() ? nullptr : model.front());
    ASSERT_EQ(list.back(), model.empty() ? nullptr : model.back());
  }
}

}  // namespace
}  // namespace tofu
