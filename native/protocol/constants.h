// constants.h: the numbers of the wire format, each written once in C++.
// Layer: protocol. Knows nothing but itself.
// Invariant: the same numbers as lib/protocol/constants.ts; the addon exports kConstants, and a test compares them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tofu {

/** Bytes of the fixed header in front of every frame. */
inline constexpr size_t kHeaderBytes = 16;
/** Most bytes of text headers, and of a body, in one message: what a 16 bit length can say. */
inline constexpr size_t kMaxTextHeadersBytes = 65'535;
inline constexpr size_t kMaxBodyBytes = 65'535;
/** The greatest frame there is. */
inline constexpr size_t kMaxFrameBytes = kHeaderBytes + kMaxTextHeadersBytes + kMaxBodyBytes;

/** Least channel number; 0 means "none yet". */
inline constexpr uint32_t kFirstChannel = 1;
/** Greatest channel number; 65535 is reserved. */
inline constexpr uint32_t kLastChannel = 65'534;

// Where the fields of the header lie.
inline constexpr size_t kAtChannel = 0;
inline constexpr size_t kAtFlags = 2;
inline constexpr size_t kAtStatus = 3;
inline constexpr size_t kAtIdHigh = 4;
inline constexpr size_t kAtIdLow = 8;
inline constexpr size_t kAtHeadersLength = 12;
inline constexpr size_t kAtBodyLength = 14;

// What the flags byte holds.
inline constexpr uint8_t kOpCodeMask = 0x0f;
inline constexpr uint8_t kOriginBit = 0x10;
inline constexpr uint8_t kMoreBit = 0x20;
/** What is believed of a flags byte from the wire: the rest could let a peer pose as the local engine. */
inline constexpr uint8_t kWireMask = kOpCodeMask | kMoreBit;

/** Name of the text header with the address a HelloRequest connects to. */
inline constexpr std::string_view kConnectTo = "~connect_to";
/** Name of the text header with the address a WelcomeRequest listens on. */
inline constexpr std::string_view kListenOn = "~listen_on";

/** A number and the name TypeScript has for it: what tables for comparison are made of. */
struct NamedNumber {
  const char* name;
  uint32_t value;
};

inline constexpr NamedNumber kConstants[] = {
    {"HEADER_BYTES", kHeaderBytes},
    {"MAX_TEXT_HEADERS_BYTES", kMaxTextHeadersBytes},
    {"MAX_BODY_BYTES", kMaxBodyBytes},
    {"MAX_FRAME_BYTES", kMaxFrameBytes},
    {"FIRST_CHANNEL", kFirstChannel},
    {"LAST_CHANNEL", kLastChannel},
    {"AT_CHANNEL", kAtChannel},
    {"AT_FLAGS", kAtFlags},
    {"AT_STATUS", kAtStatus},
    {"AT_ID_HIGH", kAtIdHigh},
    {"AT_ID_LOW", kAtIdLow},
    {"AT_HEADERS_LENGTH", kAtHeadersLength},
    {"AT_BODY_LENGTH", kAtBodyLength},
    {"OP_CODE_MASK", kOpCodeMask},
    {"ORIGIN_BIT", kOriginBit},
    {"MORE_BIT", kMoreBit},
    {"WIRE_MASK", kWireMask},
};
inline constexpr size_t kConstantCount = sizeof(kConstants) / sizeof(kConstants[0]);

}  // namespace tofu
