// text_headers.cc: reading and writing of single text headers.
#include "protocol/text_headers.h"

#include <cstring>

namespace tofu {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kNamePadding = " \t\r\n";

std::string_view trimmed(std::string_view text, std::string_view padding) {
  const size_t first = text.find_first_not_of(padding);
  if (first == std::string_view::npos) return text.substr(0, 0);
  return text.substr(first, text.find_last_not_of(padding) - first + 1);
}

bool has_line_end(std::string_view text) {
  return text.find_first_of(kLineEnd) != std::string_view::npos;
}

}  // namespace

bool next_field(std::string_view block, size_t at, Field* field) {
  while (at < block.size() && block.compare(at, kLineEnd.size(), kLineEnd) == 0) at += kLineEnd.size();
  if (at >= block.size()) return false;
  const size_t end = block.find(kLineEnd, at);
  const bool ends = end != std::string_view::npos;
  const std::string_view line = ends ? block.substr(at, end - at) : block.substr(at);
  const size_t colon = line.find(':');
  if (colon == 0) return false;
  field->name = line.substr(0, colon);
  field->value = colon == std::string_view::npos ? line.substr(line.size()) : trimmed(line.substr(colon + 1), kBlanks);
  field->next = ends ? end + kLineEnd.size() : block.size();
  return true;
}

bool find_field(std::string_view block, std::string_view name, std::string_view* value, size_t* at, size_t* next) {
  Field field;
  for (size_t from = 0; next_field(block, from, &field); from = field.next) {
    if (field.name != name) continue;
    if (value != nullptr) *value = field.value;
    if (at != nullptr) *at = static_cast<size_t>(field.name.data() - block.data());
    if (next != nullptr) *next = field.next;
    return true;
  }
  return false;
}

FieldFault encode_field(std::string_view name, std::string_view value, char* into, size_t room, size_t* written) {
  *written = 0;
  const std::string_view clean = trimmed(name, kNamePadding);
  if (clean.empty()) return FieldFault::bad_name;
  if (value.empty()) return FieldFault::bad_value;
  if (has_line_end(clean) || clean.find(':') != std::string_view::npos) return FieldFault::bad_name;
  if (has_line_end(value)) return FieldFault::bad_value;
  const size_t around = 1 + kLineEnd.size();
  if (room < around || room - around < clean.size() || room - around - clean.size() < value.size()) {
    return FieldFault::no_room;
  }
  char* to = into;
  std::memcpy(to, clean.data(), clean.size());
  to += clean.size();
  *to++ = ':';
  std::memcpy(to, value.data(), value.size());
  to += value.size();
  std::memcpy(to, kLineEnd.data(), kLineEnd.size());
  to += kLineEnd.size();
  *written = static_cast<size_t>(to - into);
  return FieldFault::none;
}

}  // namespace tofu
