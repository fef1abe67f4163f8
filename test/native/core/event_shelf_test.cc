// event_shelf_test.cc: which events a shelf keeps, how many, and in what state it gives them away. What it does not keep is freed: for
// the leak checker.
#include "core/event_shelf.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace tofu {
namespace {

constexpr size_t kSizes = EventShelf::kSizes;

Event* make(size_t size) {
  Event* event = make_event(EventShelf::kBytes[size]);
  EXPECT_EQ(event->capacity, EventShelf::kBytes[size]);
  return event;
}
/** Takes all of a size; frees them. */
uint32_t empty(EventShelf* shelf, size_t size) {
  uint32_t count = 0;
  while (Event* event = shelf->take(size)) {
    EXPECT_EQ(event->capacity, EventShelf::kBytes[size]);
    free_event(event);
    count++;
  }
  EXPECT_FALSE(shelf->has(size));
  return count;
}

TEST(EventShelf, HasAnEventSizeForWhatAReadBringsAtMost) {
  EXPECT_EQ(EventShelf::size_for(0), 0u);
  for (size_t size = 0; size < kSizes; size++) {
    EXPECT_EQ(EventShelf::size_for(EventShelf::kBytes[size]), size);
    EXPECT_EQ(EventShelf::size_for(EventShelf::kBytes[size] + 1), size + 1);
  }
  EXPECT_EQ(EventShelf::size_for(kChunkBytes), kSizes - 1);
  EXPECT_EQ(EventShelf::size_for(kChunkBytes + 1), kSizes);
}

TEST(EventShelf, HasNothingAtFirst) {
  EventShelf shelf;
  for (size_t size = 0; size < kSizes; size++) {
    EXPECT_FALSE(shelf.has(size));
    EXPECT_EQ(shelf.take(size), nullptr);
  }
}

TEST(EventShelf, GivesAwayWhatCameLastAsIfItWereNew) {
  EventShelf shelf;
  for (size_t size = 0; size < kSizes; size++) {
    Event* first = make(size);
    Event* second = make(size);
    for (Event* event : {first, second}) {
      event->kind = EventKind::frames;
      event->group = event->channel = event->generation = event->count = event->tag = event->sent = 7;
      event->at = 5;
      event->end = 9;
      event->poster = reinterpret_cast<Port*>(event);
      shelf.put(event);
    }
    EXPECT_TRUE(shelf.has(size));
    EXPECT_FALSE(shelf.has((size + 1) % kSizes)) << "each size is for itself";
    for (Event* expected : {second, first}) {
      Event* event = shelf.take(size);
      ASSERT_EQ(event, expected);
      EXPECT_EQ(event->next, nullptr);
      EXPECT_EQ(event->kind, EventKind::mail);
      EXPECT_EQ(event->group | event->channel | event->generation | event->count | event->tag | event->sent, 0u);
      EXPECT_EQ(event->at, 0u);
      EXPECT_EQ(event->end, 0u);
      EXPECT_EQ(event->room(), EventShelf::kBytes[size]);
      EXPECT_EQ(event->poster, nullptr);
      free_event(event);
    }
    EXPECT_EQ(shelf.take(size), nullptr);
  }
}

TEST(EventShelf, KeepsOnlyAFewOfEachSize) {
  EventShelf shelf;
  for (int round = 0; round < 2; round++) {
    for (size_t size = 0; size < kSizes; size++) {
      for (uint32_t i = 0; i < 3 * EventShelf::kMost[size]; i++) shelf.put(make(size));
    }
    for (size_t size = 0; size < kSizes; size++) EXPECT_EQ(empty(&shelf, size), EventShelf::kMost[size]);
  }
}

TEST(EventShelf, FreesWhatIsOfNoSize) {
  EventShelf shelf;
  for (size_t bytes : {size_t{0}, size_t{1023}, size_t{1025}, kChunkBytes - 1, 2 * kChunkBytes}) shelf.put(make_event(bytes));
  for (size_t size = 0; size < kSizes; size++) EXPECT_FALSE(shelf.has(size));
}

TEST(EventShelf, TakesOverWhatThereIsRoomFor) {
  for (size_t size = 0; size < kSizes; size++) {
    const uint32_t most = EventShelf::kMost[size];
    for (uint32_t had : {0u, 1u, most - 1, most}) {
      for (uint32_t offered : {0u, 1u, most}) {
        EventShelf shelf;
        EventShelf other;
        std::set<Event*> all;
        auto fill = [&](EventShelf* which, uint32_t count) {
          for (uint32_t i = 0; i < count; i++) {
            Event* event = make(size);
            all.insert(event);
            which->put(event);
          }
        };
        fill(&shelf, had);
        fill(&other, offered);
        shelf.fill_from(other);
        const uint32_t moved = offered < most - had ? offered : most - had;
        std::vector<Event*> here;
        while (Event* event = shelf.take(size)) here.push_back(event);
        std::vector<Event*> there;
        while (Event* event = other.take(size)) there.push_back(event);
        EXPECT_EQ(here.size(), had + moved);
        EXPECT_EQ(there.size(), offered - moved);
        // The counts went with them: both take as many as ever.
        for (EventShelf* which : {&shelf, &other}) {
          for (uint32_t i = 0; i <= most; i++) which->put(make(size));
          EXPECT_EQ(empty(which, size), most);
        }
        for (const auto* list : {&here, &there}) {
          for (Event* event : *list) {
            EXPECT_EQ(all.erase(event), 1u) << "twice, or from nowhere";
            free_event(event);
          }
        }
        EXPECT_TRUE(all.empty());
      }
    }
  }
}

TEST(EventShelf, FreesWhatIsLeftAtItsEnd) {
  EventShelf shelf;
  for (size_t size = 0; size < kSizes; size++) shelf.put(make(size));
}

}  // namespace
}  // namespace tofu
