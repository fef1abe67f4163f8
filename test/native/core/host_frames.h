// host_frames.h: frames as an application thread drains them, back in the form of the wire, in which tests compare them.
#pragma once

#include <cstring>
#include <string>

#include "core/host_frame.h"
#include "protocol/header.h"
#include "protocol/status.h"

namespace tofu::test {

inline std::string wire_of(const uint8_t* place) {
  uint32_t words[4];
  std::memcpy(words, place, sizeof(words));
  HeaderFields fields;
  fields.channel = static_cast<uint16_t>(words[0] >> 16);
  fields.flags = static_cast<uint8_t>(words[0]);
  fields.status = static_cast<Status>((words[0] >> 8) & 0xff);
  fields.id = static_cast<uint64_t>(words[1]) << 32 | words[2];
  fields.headers_length = static_cast<uint16_t>(words[3]);
  fields.body_length = static_cast<uint16_t>(words[3] >> 16);
  const size_t content = size_t{fields.headers_length} + fields.body_length;
  std::string frame(kHeaderBytes + content, '\0');
  write_header(reinterpret_cast<uint8_t*>(&frame[0]), fields);
  std::memcpy(&frame[kHeaderBytes], place + kHeaderBytes, content);
  return frame;
}

}  // namespace tofu::test
