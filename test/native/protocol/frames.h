// frames.h: what tests of frames share: making one, and taking a stream apart that arrives in pieces, the slow way.
// Header only, because the fuzz targets use it as well.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/framer.h"

namespace tofu {
namespace test {

inline uint8_t* bytes_of(std::string& text) {
  return reinterpret_cast<uint8_t*>(&text[0]);
}

inline const uint8_t* bytes_of(const std::string& text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

inline std::string make_frame(HeaderFields fields, std::string_view headers = {}, std::string_view body = {}) {
  std::string frame(kHeaderBytes, '\0');
  fields.headers_length = static_cast<uint16_t>(headers.size());
  fields.body_length = static_cast<uint16_t>(body.size());
  write_header(bytes_of(frame), fields);
  frame.append(headers);
  return frame.append(body);
}

inline std::string make_frame(OpCode op_code, uint64_t id, std::string_view body = {}) {
  HeaderFields fields;
  fields.flags = static_cast<uint8_t>(op_code);
  fields.id = id;
  return make_frame(fields, {}, body);
}

/** Keeps what is not whole and scans again when more came, as a connection does. */
class StreamReader {
 public:
  explicit StreamReader(uint16_t channel) : channel_(channel) {}

  /** False: the stream broke the protocol, and nothing behind that is taken. */
  bool feed(std::string_view piece) {
    if (violated_) return false;
    pending_.append(piece);
    for (;;) {
      const Scan scan = scan_frames(bytes_of(pending_), pending_.size(), channel_);
      take_data(scan);
      pending_.erase(0, scan.end);
      if (scan.next == Scan::Next::violation) violated_ = true;
      if (scan.next != Scan::Next::control) return !violated_;
      sanitise(bytes_of(pending_), channel_);
      frames_.emplace_back(true, pending_.substr(0, scan.length));
      pending_.erase(0, scan.length);
    }
  }

  /** Each whole frame, sanitised; true: a control frame. */
  const std::vector<std::pair<bool, std::string>>& frames() const { return frames_; }
  bool violated() const { return violated_; }
  /** What is left: a frame that is not whole, or the one that broke the protocol and all behind it. */
  const std::string& pending() const { return pending_; }
  /** Whether a scan said something else than what its own bytes say. */
  bool contradicted() const { return contradicted_; }

 private:
  void take_data(const Scan& scan) {
    uint32_t count = 0;
    size_t at = 0;
    for (; at + kHeaderBytes <= scan.end; count++) {
      const size_t length = frame_length(bytes_of(pending_) + at);
      frames_.emplace_back(false, pending_.substr(at, length));
      at += length;
    }
    if (at != scan.end || count != scan.frames) contradicted_ = true;
  }

  uint16_t channel_;
  std::string pending_;
  std::vector<std::pair<bool, std::string>> frames_;
  bool violated_ = false;
  bool contradicted_ = false;
};

}  // namespace test
}  // namespace tofu
