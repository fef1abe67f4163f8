// text_headers_fuzz.cc: any block of text headers is read to its end, and what is written reads back.
// Input: one byte that says where a name ends and a value begins, then text; all of the text also is a block to read.
// Checked: fields are views of the block, in order, free of what separates them; find_field agrees with reading on.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/assert.h"
#include "protocol/text_headers.h"

namespace tofu {
namespace test {
namespace {

bool lies_in(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

bool has(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

std::string_view trimmed(std::string_view text, std::string_view padding) {
  while (!text.empty() && has(padding, text.substr(0, 1))) text.remove_prefix(1);
  while (!text.empty() && has(padding, text.substr(text.size() - 1))) text.remove_suffix(1);
  return text;
}

void check_field(std::string_view block, size_t at, const Field& field) {
  TOFU_ASSERT(field.next > at && field.next <= block.size());
  TOFU_ASSERT(lies_in(field.name, block) && lies_in(field.value, block));
  TOFU_ASSERT(field.name.data() >= block.data() + at);
  TOFU_ASSERT(field.name.data() + field.name.size() <= field.value.data());
  TOFU_ASSERT(field.value.data() + field.value.size() <= block.data() + field.next);
  TOFU_ASSERT(!field.name.empty() && !has(field.name, ":") && !has(field.name, "\r\n"));
  TOFU_ASSERT(!has(field.value, "\r\n") && trimmed(field.value, " \t") == field.value);
}

void check_find(std::string_view block, const Field& field) {
  std::string_view value;
  size_t at = 0;
  size_t next = 0;
  TOFU_ASSERT(find_field(block, field.name, &value, &at, &next));
  // The first of that name, which is this one or stands in front of it; its line, read alone, says the same.
  TOFU_ASSERT(at <= static_cast<size_t>(field.name.data() - block.data()));
  Field alone;
  TOFU_ASSERT(next_field(block.substr(at, next - at), 0, &alone));
  TOFU_ASSERT(alone.name == field.name && alone.value == value && alone.next == next - at);
}

void check_block(std::string_view block) {
  Field field;
  // Looking each one up is quadratic: enough of them are enough.
  int finds = 64;
  for (size_t at = 0; next_field(block, at, &field); at = field.next) {
    check_field(block, at, field);
    if (finds-- > 0) check_find(block, field);
  }
}

void check_round_trip(std::string_view name, std::string_view value) {
  const size_t room = name.size() + value.size() + 3;
  const std::unique_ptr<char[]> memory(new char[room]);
  size_t written = 0;
  const FieldFault fault = encode_field(name, value, memory.get(), room, &written);
  const std::string_view clean = trimmed(name, " \t\r\n");
  const bool good_name = !clean.empty() && !has(clean, ":") && !has(clean, "\r") && !has(clean, "\n");
  const bool good_value = !value.empty() && !has(value, "\r") && !has(value, "\n");
  TOFU_ASSERT((fault == FieldFault::none) == (good_name && good_value));
  if (fault != FieldFault::none) {
    TOFU_ASSERT(written == 0 && !(fault == FieldFault::bad_name ? good_name : good_value));
    return;
  }
  Field field;
  TOFU_ASSERT(next_field({memory.get(), written}, 0, &field));
  TOFU_ASSERT(field.next == written);
  TOFU_ASSERT(field.name == clean && field.value == trimmed(value, " \t"));
  const std::unique_ptr<char[]> exact(new char[written]);
  const size_t needed = written;
  TOFU_ASSERT(encode_field(name, value, exact.get(), needed, &written) == FieldFault::none && written == needed);
  TOFU_ASSERT(encode_field(name, value, exact.get(), needed - 1, &written) == FieldFault::no_room && written == 0);
}

}  // namespace
}  // namespace test
}  // namespace tofu

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  tofu::test::check_block(text);
  const size_t cut = text.empty() ? 0 : data[0] % (text.size() + 1);
  tofu::test::check_round_trip(text.substr(0, cut), text.substr(cut));
  return 0;
}
