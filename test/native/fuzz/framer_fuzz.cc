// framer_fuzz.cc: any stream, cut anywhere, gives the frames of the whole one.
// Input: two bytes of channel number, one that says how the stream is cut, then the stream.
// Checked: a scan is right about its own bytes, touches nothing that it does not take, and takes nothing forbidden.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../protocol/frames.h"
#include "base/assert.h"

namespace tofu {
namespace test {
namespace {

constexpr size_t kPrefix = 3;

/** One scan: what is taken is sanitised, and everything else is as it came. */
void check_scan(const std::string& stream, uint16_t channel) {
  // Memory of its own and of exactly this size, so that a sanitizer sees each byte too many.
  std::string bytes(stream);
  bytes.shrink_to_fit();
  const Scan scan = scan_frames(bytes_of(bytes), bytes.size(), channel);
  TOFU_ASSERT(scan.end <= stream.size());
  size_t at = 0;
  uint32_t frames = 0;
  for (; at < scan.end; frames++) {
    TOFU_ASSERT(scan.end - at >= kHeaderBytes);
    std::string expected = stream.substr(at, frame_length(bytes_of(stream) + at));
    TOFU_ASSERT(kind_of(bytes_of(expected)) == FrameKind::data);
    sanitise(bytes_of(expected), channel);
    TOFU_ASSERT(bytes.compare(at, expected.size(), expected) == 0);
    at += expected.size();
  }
  TOFU_ASSERT(at == scan.end && frames == scan.frames);
  TOFU_ASSERT(bytes.compare(at, std::string::npos, stream, at, std::string::npos) == 0);
  const size_t left = stream.size() - at;
  const uint8_t* next = bytes_of(stream) + at;
  if (left < kHeaderBytes) {
    TOFU_ASSERT(scan.next == Scan::Next::incomplete && scan.length == 0);
  } else if (kind_of(next) == FrameKind::violation) {
    TOFU_ASSERT(scan.next == Scan::Next::violation && scan.length == 0);
  } else {
    TOFU_ASSERT(scan.length == frame_length(next) && scan.length <= kMaxFrameBytes);
    const bool whole = scan.length <= left;
    TOFU_ASSERT(scan.next == (whole ? Scan::Next::control : Scan::Next::incomplete));
    TOFU_ASSERT(!whole || kind_of(next) == FrameKind::control);
  }
}

void check_cuts(std::string_view stream, uint16_t channel, uint32_t cuts) {
  StreamReader whole(channel);
  whole.feed(stream);
  StreamReader cut(channel);
  const uint32_t most = 1 + cuts % 64;
  for (size_t at = 0; at < stream.size();) {
    cuts = cuts * 1'103'515'245 + 12'345;
    const size_t size = 1 + (cuts >> 16) % most;
    cut.feed(stream.substr(at, size));
    at += size;
  }
  TOFU_ASSERT(!whole.contradicted() && !cut.contradicted());
  TOFU_ASSERT(whole.frames() == cut.frames());
  TOFU_ASSERT(whole.violated() == cut.violated());
  // Of a stream that was refused the cut one has not seen the rest.
  const std::string& left = cut.pending();
  TOFU_ASSERT(whole.pending().compare(0, left.size(), left) == 0);
  TOFU_ASSERT(whole.violated() || whole.pending().size() == left.size());
}

}  // namespace
}  // namespace test
}  // namespace tofu

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tofu::test::kPrefix;
  if (size < kPrefix) return 0;
  const uint16_t channel = tofu::read_u16(data);
  const std::string stream(reinterpret_cast<const char*>(data) + kPrefix, size - kPrefix);
  tofu::test::check_scan(stream, channel);
  tofu::test::check_cuts(stream, channel, data[2]);
  return 0;
}
