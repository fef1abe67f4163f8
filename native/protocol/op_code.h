// op_code.h: what a message is for.
// Layer: protocol.
// Invariant: the numbers are those of the wire, the names those of lib/protocol/op-code.ts; a test compares the tables.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/constants.h"

namespace tofu {

enum class OpCode : uint8_t {
  request,
  response,
  signal,
  hello_request,
  hello_response,
  bye_request,
  bye_response,
  bye_signal,        // an order to the local engine, never on the wire
  welcome_request,   // the same
  welcome_response,  // made by the engine only
};

inline constexpr NamedNumber kOpCodes[] = {
    {"Request", static_cast<uint32_t>(OpCode::request)},
    {"Response", static_cast<uint32_t>(OpCode::response)},
    {"Signal", static_cast<uint32_t>(OpCode::signal)},
    {"HelloRequest", static_cast<uint32_t>(OpCode::hello_request)},
    {"HelloResponse", static_cast<uint32_t>(OpCode::hello_response)},
    {"ByeRequest", static_cast<uint32_t>(OpCode::bye_request)},
    {"ByeResponse", static_cast<uint32_t>(OpCode::bye_response)},
    {"ByeSignal", static_cast<uint32_t>(OpCode::bye_signal)},
    {"WelcomeRequest", static_cast<uint32_t>(OpCode::welcome_request)},
    {"WelcomeResponse", static_cast<uint32_t>(OpCode::welcome_response)},
};
inline constexpr size_t kOpCodeCount = sizeof(kOpCodes) / sizeof(kOpCodes[0]);

}  // namespace tofu
