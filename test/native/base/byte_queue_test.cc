// byte_queue_test.cc: records keep their order, their bytes and their alignment, on one thread and between two.
#include "base/byte_queue.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "protocol/seed.h"

namespace tofu {
namespace {

size_t aligned(size_t size) { return (size + 7) & ~size_t{7}; }

/** A record as the tests write it: its size and number, and a body that follows from them. */
struct Head {
  uint32_t size;
  uint32_t number;
};

void fill(uint8_t* record, uint32_t size, uint32_t number) {
  Head head{size, number};
  std::memcpy(record, &head, sizeof head);
  for (uint32_t i = sizeof head; i < size; i++) record[i] = static_cast<uint8_t>(number * 31 + i);
}

bool is_filled(const uint8_t* record, uint32_t number) {
  Head head;
  std::memcpy(&head, record, sizeof head);
  if (head.number != number) return false;
  for (uint32_t i = sizeof head; i < head.size; i++) {
    if (record[i] != static_cast<uint8_t>(number * 31 + i)) return false;
  }
  return true;
}

bool add(ByteQueue* queue, uint32_t size, uint32_t number) {
  uint8_t* record = queue->reserve(size);
  if (record == nullptr || reinterpret_cast<uintptr_t>(record) % 8 != 0) return false;
  fill(record, size, number);
  return true;
}

/** Takes all that is visible; the records must be `*next` and those behind it. Returns false at the first that is not.
 */
bool take_all(ByteQueue* queue, uint32_t* next) {
  size_t length = 0;
  while (uint8_t* bytes = queue->peek(&length)) {
    for (size_t at = 0; at < length; (*next)++) {
      if (!is_filled(bytes + at, *next)) return false;
      Head head;
      std::memcpy(&head, bytes + at, sizeof head);
      at += aligned(head.size);
      if (at > length) return false;
    }
    queue->consume(length);
  }
  return true;
}

TEST(ByteQueue, StartsEmpty) {
  ByteQueue queue;
  size_t length = 0;
  EXPECT_EQ(queue.peek(&length), nullptr);
  EXPECT_FALSE(queue.has_more());
  EXPECT_TRUE(queue.all_consumed());
  queue.publish();
  EXPECT_FALSE(queue.has_more());
  EXPECT_EQ(queue.peek(&length), nullptr);
}

TEST(ByteQueue, ShowsNothingBeforeItIsPublished) {
  ByteQueue queue;
  size_t length = 0;
  ASSERT_TRUE(add(&queue, 20, 0));
  EXPECT_EQ(queue.peek(&length), nullptr);
  EXPECT_FALSE(queue.has_more());
  queue.publish();
  EXPECT_TRUE(queue.has_more());
  EXPECT_FALSE(queue.all_consumed());
  ASSERT_NE(queue.peek(&length), nullptr);
  EXPECT_EQ(length, 24u);
  ASSERT_TRUE(add(&queue, 8, 1));
  ASSERT_NE(queue.peek(&length), nullptr);
  EXPECT_EQ(length, 24u);
}

TEST(ByteQueue, IsConsumedWhenTheLastRecordIs) {
  ByteQueue queue;
  ASSERT_TRUE(add(&queue, 16, 0));
  ASSERT_TRUE(add(&queue, 16, 1));
  queue.publish();
  size_t length = 0;
  uint8_t* first = queue.peek(&length);
  ASSERT_NE(first, nullptr);
  ASSERT_EQ(length, 32u);
  queue.consume(16);
  EXPECT_FALSE(queue.all_consumed());
  EXPECT_EQ(queue.peek(&length), first + 16);
  EXPECT_EQ(length, 16u);
  queue.consume(16);
  EXPECT_TRUE(queue.all_consumed());
  EXPECT_FALSE(queue.has_more());
  EXPECT_EQ(queue.peek(&length), nullptr);
}

TEST(ByteQueue, TakesBackAReservation) {
  ByteQueue queue;
  uint8_t* room = queue.reserve(100);
  ASSERT_NE(room, nullptr);
  queue.cancel(100);
  queue.publish();
  EXPECT_FALSE(queue.has_more());
  uint8_t* again = queue.reserve(40);
  EXPECT_EQ(again, room);
  fill(again, 40, 7);
  queue.publish();
  uint32_t next = 7;
  EXPECT_TRUE(take_all(&queue, &next));
  EXPECT_EQ(next, 8u);
}

TEST(ByteQueue, TakesBackAReservationThatNeededASegment) {
  // The segment in use is full; room for more is reserved and taken back, and then something else comes.
  for (uint32_t behind : {40u, 200'000u, 3'000'000u}) {
    ByteQueue queue;
    ASSERT_TRUE(add(&queue, 100'000, 0));
    queue.publish();
    ASSERT_NE(queue.reserve(500'000), nullptr);
    queue.cancel(500'000);
    uint32_t next = 0;
    ASSERT_TRUE(take_all(&queue, &next));
    ASSERT_TRUE(queue.all_consumed());
    ASSERT_TRUE(add(&queue, behind, 1));
    queue.publish();
    EXPECT_TRUE(take_all(&queue, &next));
    EXPECT_EQ(next, 2u);
    EXPECT_TRUE(queue.all_consumed());
  }
}

TEST(ByteQueue, TakesRecordsGreaterThanASegment) {
  ByteQueue queue;
  uint32_t next = 0;
  uint32_t number = 0;
  for (uint32_t size : {16u, 131'072u, 131'073u, 16u, 1'000'000u, 24u, 5'000'000u, 131'071u})
    ASSERT_TRUE(add(&queue, size, number++));
  queue.publish();
  EXPECT_TRUE(take_all(&queue, &next));
  EXPECT_EQ(next, number);
  EXPECT_TRUE(queue.all_consumed());
}

TEST(ByteQueue, IsDestroyedWithWhatIsInIt) {
  for (int taken = 0; taken < 3; taken++) {
    ByteQueue queue;
    for (uint32_t i = 0; i < 10; i++) ASSERT_TRUE(add(&queue, 60'000, i));
    queue.publish();
    size_t length = 0;
    for (int i = 0; i < taken; i++) {
      ASSERT_NE(queue.peek(&length), nullptr);
      queue.consume(length);
    }
  }
}

TEST(ByteQueue, KeepsOrderOverSegmentsUnderRandomUse) {
  uint64_t seed = test::test_seed();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 40; round++) {
    ByteQueue queue;
    std::deque<uint32_t> waiting;  // sizes published, not consumed
    std::deque<uint32_t> hidden;   // sizes reserved, not published
    uint32_t written = 0;
    uint32_t read = 0;
    for (int step = 0; step < 600; step++) {
      uint64_t what = random() % 10;
      uint32_t size = static_cast<uint32_t>(sizeof(Head) + random() % (random() % 8 == 0 ? 300'000 : 3000));
      if (what < 5) {
        ASSERT_TRUE(add(&queue, size, written++));
        hidden.push_back(size);
      } else if (what == 5) {
        ASSERT_NE(queue.reserve(size), nullptr);
        queue.cancel(size);
      } else if (what < 8) {
        queue.publish();
        waiting.insert(waiting.end(), hidden.begin(), hidden.end());
        hidden.clear();
      } else {
        size_t length = 0;
        uint8_t* bytes = queue.peek(&length);
        ASSERT_EQ(bytes == nullptr, waiting.empty());
        if (bytes == nullptr) continue;
        size_t at = 0;
        for (uint64_t n = random() % 20; at < length && n > 0; n--) {
          ASSERT_FALSE(waiting.empty());
          ASSERT_TRUE(is_filled(bytes + at, read++));
          at += aligned(waiting.front());
          waiting.pop_front();
        }
        ASSERT_LE(at, length);
        if (at > 0) queue.consume(at);
      }
      ASSERT_EQ(queue.has_more(), !waiting.empty());
      ASSERT_EQ(queue.all_consumed(), waiting.empty());
    }
  }
}

/** One thread produces, this one consumes; records may become visible while the consumer looks for more. */
void run_two_threads(uint64_t seed, uint32_t records, uint32_t most_bytes, uint32_t most_batch) {
  ByteQueue queue;
  std::thread producer([&] {
    std::mt19937_64 random(seed);
    for (uint32_t number = 0; number < records;) {
      for (uint64_t n = 1 + random() % most_batch; n > 0 && number < records; n--) {
        uint32_t size = static_cast<uint32_t>(sizeof(Head) + random() % most_bytes);
        if (!add(&queue, size, number++)) return;
      }
      if (random() % 16 == 0 && queue.reserve(most_bytes) != nullptr) queue.cancel(most_bytes);
      queue.publish();
    }
  });
  uint32_t next = 0;
  bool good = true;
  while (good && next < records) {
    good = take_all(&queue, &next);
    if (!queue.has_more()) std::this_thread::yield();
  }
  producer.join();
  EXPECT_TRUE(good) << "record " << next;
  EXPECT_EQ(next, records);
  EXPECT_TRUE(queue.all_consumed());
}

TEST(ByteQueue, CarriesSmallRecordsBetweenThreads) {
  uint64_t seed = test::test_seed();
  SCOPED_TRACE(seed);
  // Many publications of few bytes: the consumer is most often between two of them.
  run_two_threads(seed, 100'000, 40, 3);
}

TEST(ByteQueue, CarriesSegmentsBetweenThreads) {
  uint64_t seed = test::test_seed();
  SCOPED_TRACE(seed);
  run_two_threads(seed, 2'000, 20'000, 8);
  run_two_threads(seed + 1, 100, 400'000, 3);
}

}  // namespace
}  // namespace tofu
