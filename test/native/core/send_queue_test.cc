// send_queue_test.cc: posted frames in blocks: whatever the kernel takes, each frame is reported sent once, in order.
#include "core/send_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "core/core_support.h"
#include "protocol/seed.h"

namespace tofu {
namespace {

using test::bytes_of;

class SendQueueTest : public testing::Test {
 protected:
  bool add(SendQueue* queue, Port* port, const std::string& frames, uint32_t tag = 0) {
    Piece piece = piece_of(port, frames, tag);
    return queue->append(piece);
  }
  Piece piece_of(Port* port, const std::string& frames, uint32_t tag = 0) {
    Piece piece{};
    piece.port = port;
    piece.tag = tag;
    piece.bytes = const_cast<uint8_t*>(bytes_of(frames));
    piece.length = static_cast<uint32_t>(frames.size());
    for (size_t at = 0; at < frames.size(); at += frame_length(bytes_of(frames) + at)) piece.frames++;
    return piece;
  }
  static std::string bytes_in(const SendQueue& queue, int max, size_t* total) {
    Slice slices[kMaxSlices];
    int count = queue.slices(slices, max, total);
    std::string bytes;
    for (int i = 0; i < count; i++) bytes.append(static_cast<const char*>(slices[i].data), slices[i].length);
    EXPECT_EQ(bytes.size(), *total);
    return bytes;
  }
  static int slice_count(const SendQueue& queue) {
    Slice slices[kMaxSlices];
    size_t total = 0;
    return queue.slices(slices, kMaxSlices, &total);
  }
  static std::string frame(uint64_t id, size_t body) {
    return test::make_frame(OpCode::signal, id, std::string(body, static_cast<char>('a' + id % 26)));
  }

  test::App first_;
  test::App second_{first_.engine().number()};
};

TEST_F(SendQueueTest, StartsEmpty) {
  SendQueue queue;
  size_t total = 1;
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(bytes_in(queue, kMaxSlices, &total), "");
  EXPECT_EQ(queue.take(), nullptr);
}

TEST_F(SendQueueTest, KeepsSmallPiecesOfOnePortTogether) {
  SendQueue queue;
  Port* port = first_.port();
  for (uint64_t id = 1; id <= 20; id++) ASSERT_TRUE(add(&queue, port, frame(id, 64)));
  EXPECT_EQ(slice_count(queue), 1);
  EXPECT_EQ(port->blocks, 1u);
  std::vector<uint64_t> sent;
  queue.consume(20 * 80, [&](const Event& block, const uint8_t* one, uint32_t) {
    EXPECT_EQ(block.poster, port);
    sent.push_back(message_id(one));
  });
  EXPECT_EQ(sent.size(), 20u);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(port->blocks, 0u);
}

/** Which frames of a block are answers is not kept: they end when fewer frames are left. */
TEST_F(SendQueueTest, EndsAnswersWhenFewerFramesAreLeft) {
  SendQueue queue;
  std::string frames;
  for (uint64_t id = 1; id <= 4; id++) frames += frame(id, 64);
  Piece piece = piece_of(first_.port(), frames);
  piece.answers = 2;
  ASSERT_TRUE(queue.append(piece));
  frames = frame(5, 64);
  piece = piece_of(first_.port(), frames);
  piece.answers = 1;
  ASSERT_TRUE(queue.append(piece));
  ASSERT_EQ(slice_count(queue), 1);
  std::vector<uint32_t> ended;
  for (int i = 0; i < 5; i++) {
    queue.consume(80, [&](const Event&, const uint8_t*, uint32_t answers) { ended.push_back(answers); });
  }
  EXPECT_EQ(ended, (std::vector<uint32_t>{0, 0, 1, 1, 1}));
}

TEST_F(SendQueueTest, KeepsPortsAndTagsApart) {
  SendQueue queue;
  ASSERT_TRUE(add(&queue, first_.port(), frame(1, 0)));
  ASSERT_TRUE(add(&queue, second_.port(), frame(2, 0)));
  ASSERT_TRUE(add(&queue, second_.port(), frame(3, 0), 9));
  ASSERT_TRUE(add(&queue, second_.port(), frame(4, 0), 9));
  ASSERT_TRUE(add(&queue, second_.port(), frame(5, 0)));
  EXPECT_EQ(slice_count(queue), 4);
  EXPECT_EQ(first_.port()->blocks, 1u);
  EXPECT_EQ(second_.port()->blocks, 3u);
  std::vector<uint32_t> tags;
  queue.consume(5 * kHeaderBytes, [&](const Event& block, const uint8_t*, uint32_t) { tags.push_back(block.tag); });
  EXPECT_EQ(tags, (std::vector<uint32_t>{0, 0, 9, 9, 0}));
  EXPECT_EQ(first_.port()->blocks, 0u);
  EXPECT_EQ(second_.port()->blocks, 0u);
}

TEST_F(SendQueueTest, GivesNoMoreSlicesThanAskedFor) {
  SendQueue queue;
  for (uint64_t id = 1; id <= kMaxSlices + 1; id++) ASSERT_TRUE(add(&queue, first_.port(), frame(id, 5000)));
  size_t total = 0;
  EXPECT_EQ(bytes_in(queue, 1, &total), frame(1, 5000));
  bytes_in(queue, kMaxSlices, &total);
  EXPECT_EQ(total, kMaxSlices * 5016u);
  while (Event* block = queue.take()) drop_block(block);
  EXPECT_EQ(first_.port()->blocks, 0u);
}

TEST_F(SendQueueTest, SendsTheRestOfACutFrameFirst) {
  SendQueue queue;
  std::string behind = frame(2, 10);
  ASSERT_TRUE(add(&queue, second_.port(), behind));
  std::string cut = frame(1, 100) + frame(7, 3);
  Piece piece = piece_of(first_.port(), cut);
  piece.sent = 20;
  Event* block = make_block(piece);
  ASSERT_NE(block, nullptr);
  queue.push_front(block);
  size_t total = 0;
  EXPECT_EQ(bytes_in(queue, kMaxSlices, &total), cut.substr(20) + behind);
  std::vector<uint64_t> sent;
  auto note = [&](const Event&, const uint8_t* one, uint32_t) { sent.push_back(message_id(one)); };
  queue.consume(95, note);
  EXPECT_TRUE(sent.empty());
  queue.consume(1, note);
  EXPECT_EQ(sent, (std::vector<uint64_t>{1}));
  queue.consume(total - 96, note);
  EXPECT_EQ(sent, (std::vector<uint64_t>{1, 7, 2}));
  EXPECT_TRUE(queue.empty());
}

TEST_F(SendQueueTest, AgreesWithAModelUnderRandomUse) {
  uint64_t seed = test::test_seed();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  SendQueue queue;
  std::string bytes;  // all that is not sent
  std::deque<std::pair<uint64_t, Port*>> waiting;
  size_t cut = 0;  // bytes of the first frame that are sent
  uint64_t next_id = 1;
  for (int step = 0; step < 5000; step++) {
    if (random() % 2 == 0) {
      std::string frames;
      Port* port = random() % 4 == 0 ? second_.port() : first_.port();
      for (uint64_t n = 1 + random() % 5; n > 0; n--) {
        frames += frame(next_id, random() % (random() % 10 == 0 ? 20'000 : 200));
        waiting.emplace_back(next_id++, port);
      }
      ASSERT_TRUE(add(&queue, port, frames));
      bytes += frames;
      continue;
    }
    size_t total = 0;
    std::string offered = bytes_in(queue, kMaxSlices, &total);
    ASSERT_TRUE(offered == bytes.substr(cut, total));
    if (total == 0) continue;
    size_t taken = 1 + random() % total;
    bool good = true;
    size_t whole = 0;
    queue.consume(taken, [&](const Event& block, const uint8_t* one, uint32_t) {
      good = good && !waiting.empty() && message_id(one) == waiting.front().first &&
             block.poster == waiting.front().second;
      if (!waiting.empty()) waiting.pop_front();
      whole += frame_length(one);
    });
    ASSERT_TRUE(good);
    bytes.erase(0, whole);
    cut = cut + taken - whole;
    ASSERT_TRUE(bytes.empty() ? cut == 0 : cut < frame_length(bytes_of(bytes)));
    ASSERT_EQ(queue.empty(), waiting.empty());
  }
  std::vector<uint64_t> left;
  queue.each_frame([&](const uint8_t* one) { left.push_back(message_id(one)); });
  ASSERT_EQ(left.size(), waiting.size());
  while (Event* block = queue.take()) drop_block(block);
  EXPECT_EQ(first_.port()->blocks, 0u);
  EXPECT_EQ(second_.port()->blocks, 0u);
}

}  // namespace
}  // namespace tofu
