// status.h: the status byte: what a message of the engine tells.
// Layer: protocol.
// Invariant: the numbers are part of the protocol and never move; the names are those of lib/protocol/status.ts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tofu {

enum class Status : uint8_t {
  success,
  not_implemented_yet,
  wrong_address,
  not_allowed,
  null_message,
  invalid_message,
  invalid_op_code,
  invalid_headers_len,
  invalid_body_len,
  invalid_more_usage,
  invalid_channel_number,
  invalid_channel_group,
  invalid_message_id,
  invalid_address,
  uds_path_not_found,
  notification_disabled,
  notification_failed,
  peer_disconnected,
  communication_failed,
  pool_empty,
  allocation_failed,
  receiver_update,
  channel_closed,
  shutdown_started,
  connect_failed,
  listen_failed,
  accept_failed,
  send_failed,
  recv_failed,
  setsockopt_failed,
  processing_failed,
  unknown_error,  // every raw byte from here up reads as this
};

inline constexpr size_t kStatusCount = static_cast<size_t>(Status::unknown_error) + 1;

/** Reads a raw status byte. */
inline Status raw_to_status(uint8_t raw) {
  return raw < static_cast<uint8_t>(Status::unknown_error) ? static_cast<Status>(raw) : Status::unknown_error;
}

/** The name as the protocol spells it; "unknown_error" for whatever is no status. */
const char* status_name(Status status);

}  // namespace tofu
