// status.cc: the names of the statuses.
#include "protocol/status.h"

namespace tofu {
namespace {

constexpr const char* kNames[] = {
    "success",
    "not_implemented_yet",
    "wrong_address",
    "not_allowed",
    "null_message",
    "invalid_message",
    "invalid_op_code",
    "invalid_headers_len",
    "invalid_body_len",
    "invalid_more_usage",
    "invalid_channel_number",
    "invalid_channel_group",
    "invalid_message_id",
    "invalid_address",
    "uds_path_not_found",
    "notification_disabled",
    "notification_failed",
    "peer_disconnected",
    "communication_failed",
    "pool_empty",
    "allocation_failed",
    "receiver_update",
    "channel_closed",
    "shutdown_started",
    "connect_failed",
    "listen_failed",
    "accept_failed",
    "send_failed",
    "recv_failed",
    "setsockopt_failed",
    "processing_failed",
    "unknown_error",
};
static_assert(sizeof(kNames) / sizeof(kNames[0]) == kStatusCount, "one name per status");

}  // namespace

const char* status_name(Status status) {
  return kNames[static_cast<uint8_t>(raw_to_status(static_cast<uint8_t>(status)))];
}

}  // namespace tofu
