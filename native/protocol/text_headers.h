// text_headers.h: text headers as bytes, "name:value\r\n" repeated; one field at a time.
// Layer: protocol. Knows bytes only; names and values are views of the caller's block, and nothing is allocated.
// Writing is strict, reading takes what any peer sends.
// Invariant: what encode_field() wrote, next_field() reads back, but for blanks around the value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tofu {

/** One field that was read, and where to read on. */
struct Field {
  std::string_view name;
  std::string_view value;
  size_t next;
};

/**
 * Reads the field at `at`: start at 0, go on at `next` until false. False: the end of the block, or a field with an
 * empty name, which ends the reading; `field` is left alone then.
 */
bool next_field(std::string_view block, size_t at, Field* field);

/**
 * The first field of that name. `at` and `next` say where its line begins and where the next one does, so that it can
 * be cut out or replaced. Each of the three results may be null.
 */
bool find_field(std::string_view block, std::string_view name, std::string_view* value, size_t* at, size_t* next);

/** Why a field cannot be written. */
enum class FieldFault : uint8_t { none, bad_name, bad_value, no_room };

/**
 * Writes one field. The name is trimmed of blanks and line ends, then it is not empty and without colon and line ends;
 * the value is taken as it is: not empty, without line ends. `written` is 0 unless the result is `none`.
 */
FieldFault encode_field(std::string_view name, std::string_view value, char* into, size_t room, size_t* written);

}  // namespace tofu
