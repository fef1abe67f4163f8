// status_test.cc: the status byte.
#include "protocol/status.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace tofu {
namespace {

TEST(Status, HasTheNumbersOfTheProtocol) {
  EXPECT_EQ(static_cast<int>(Status::success), 0);
  EXPECT_EQ(static_cast<int>(Status::invalid_address), 13);
  EXPECT_EQ(static_cast<int>(Status::peer_disconnected), 17);
  EXPECT_EQ(static_cast<int>(Status::channel_closed), 22);
  EXPECT_EQ(static_cast<int>(Status::unknown_error), 31);
  EXPECT_EQ(kStatusCount, 32u);
}

TEST(Status, HasANameOfItsOwnForEachNumber) {
  std::set<std::string> names;
  for (size_t raw = 0; raw < kStatusCount; raw++) names.insert(status_name(static_cast<Status>(raw)));
  EXPECT_EQ(names.size(), kStatusCount);
}

TEST(Status, IsNamedAsItIsSpelledHere) {
#define EXPECT_SPELLED(name) EXPECT_STREQ(status_name(Status::name), #name)
  EXPECT_SPELLED(success);
  EXPECT_SPELLED(not_implemented_yet);
  EXPECT_SPELLED(wrong_address);
  EXPECT_SPELLED(not_allowed);
  EXPECT_SPELLED(null_message);
  EXPECT_SPELLED(invalid_message);
  EXPECT_SPELLED(invalid_op_code);
  EXPECT_SPELLED(invalid_headers_len);
  EXPECT_SPELLED(invalid_body_len);
  EXPECT_SPELLED(invalid_more_usage);
  EXPECT_SPELLED(invalid_channel_number);
  EXPECT_SPELLED(invalid_channel_group);
  EXPECT_SPELLED(invalid_message_id);
  EXPECT_SPELLED(invalid_address);
  EXPECT_SPELLED(uds_path_not_found);
  EXPECT_SPELLED(notification_disabled);
  EXPECT_SPELLED(notification_failed);
  EXPECT_SPELLED(peer_disconnected);
  EXPECT_SPELLED(communication_failed);
  EXPECT_SPELLED(pool_empty);
  EXPECT_SPELLED(allocation_failed);
  EXPECT_SPELLED(receiver_update);
  EXPECT_SPELLED(channel_closed);
  EXPECT_SPELLED(shutdown_started);
  EXPECT_SPELLED(connect_failed);
  EXPECT_SPELLED(listen_failed);
  EXPECT_SPELLED(accept_failed);
  EXPECT_SPELLED(send_failed);
  EXPECT_SPELLED(recv_failed);
  EXPECT_SPELLED(setsockopt_failed);
  EXPECT_SPELLED(processing_failed);
  EXPECT_SPELLED(unknown_error);
#undef EXPECT_SPELLED
}

TEST(Status, ReadsEveryOtherByteAsUnknownError) {
  for (int raw = 0; raw < 256; raw++) {
    const Status status = raw_to_status(static_cast<uint8_t>(raw));
    EXPECT_EQ(static_cast<int>(status), raw < 31 ? raw : 31);
    EXPECT_EQ(status_name(static_cast<Status>(raw)) == std::string("unknown_error"), raw >= 31);
  }
}

}  // namespace
}  // namespace tofu
