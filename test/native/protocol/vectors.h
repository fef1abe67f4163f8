// vectors.h: reads test/vectors/vectors.txt, which describes itself in its first lines. Header only.
// A line that cannot be read is kept in `unread`, so that none is skipped unnoticed.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace tofu {
namespace test {

/** A frame that is read, and what is read. */
struct FrameVector {
  bool clean = false;  // of the kind `clean`
  std::string name;
  std::string frame;
  uint16_t channel = 0;
  uint8_t op_code = 0;
  bool more = false;
  uint64_t id = 0;
  std::string headers;
  std::string body;
};

/** A frame that is refused. */
struct BadVector {
  std::string name;
  std::string frame;
};

/** Bytes of text headers and the pairs they are read as. */
struct HeadersVector {
  std::string raw;
  std::vector<std::pair<std::string, std::string>> pairs;
};

/** A header to be written. */
struct AppendVector {
  std::string name;
  std::string value;
  std::string bytes;
  std::string refusal;  // empty: it is not refused
};

struct Vectors {
  std::vector<FrameVector> frames;
  std::vector<BadVector> bad;
  std::vector<HeadersVector> headers;
  std::vector<AppendVector> append;
  std::vector<std::string> unread;
};

namespace vector_lines {

using Fields = std::vector<std::string>;

/** Cut at each "|" that has no backslash in front; the escapes stay. */
inline Fields split(const std::string& line) {
  Fields fields(1);
  for (size_t at = 0; at < line.size(); at++) {
    if (line[at] == '|') {
      fields.emplace_back();
      continue;
    }
    if (line[at] == '\\' && at + 1 < line.size()) fields.back() += line[at++];
    fields.back() += line[at];
  }
  return fields;
}

inline int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

inline bool bytes_of_hex(const std::string& text, std::string* bytes) {
  int high = -1;
  for (char c : text) {
    if (c == ' ') continue;
    const int digit = digit_of(c);
    if (digit < 0) return false;
    if (high < 0) {
      high = digit;
    } else {
      *bytes += static_cast<char>(high * 16 + digit);
      high = -1;
    }
  }
  return high < 0;
}

inline bool unescape(const std::string& text, std::string* bytes) {
  const std::string letters = "|\\rnt";
  const std::string meanings = "|\\\r\n\t";
  for (size_t at = 0; at < text.size(); at++) {
    if (text[at] != '\\') {
      *bytes += text[at];
      continue;
    }
    if (++at == text.size()) return false;
    const size_t which = letters.find(text[at]);
    if (which != std::string::npos) {
      *bytes += meanings[which];
    } else if (text[at] == 'x' && at + 2 < text.size() && bytes_of_hex(text.substr(at + 1, 2), bytes)) {
      at += 2;
    } else {
      return false;
    }
  }
  return true;
}

inline bool number_of(const std::string& text, uint64_t most, uint64_t* number) {
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    const uint64_t digit = static_cast<uint64_t>(c - '0');
    if (value > (most - digit) / 10) return false;
    value = value * 10 + digit;
  }
  *number = value;
  return !text.empty();
}

inline bool read_frame(const Fields& fields, FrameVector* vector) {
  uint64_t channel = 0;
  uint64_t op_code = 0;
  uint64_t more = 0;
  vector->clean = fields[0] == "clean";
  const bool ok = unescape(fields[1], &vector->name) && bytes_of_hex(fields[2], &vector->frame) &&
                  number_of(fields[3], UINT16_MAX, &channel) && number_of(fields[4], 15, &op_code) &&
                  number_of(fields[5], 1, &more) && number_of(fields[6], UINT64_MAX, &vector->id) &&
                  unescape(fields[7], &vector->headers) && bytes_of_hex(fields[8], &vector->body);
  vector->channel = static_cast<uint16_t>(channel);
  vector->op_code = static_cast<uint8_t>(op_code);
  vector->more = more != 0;
  return ok;
}

inline bool read_headers(const Fields& fields, HeadersVector* vector) {
  if (!unescape(fields[1], &vector->raw)) return false;
  if (fields.size() == 3 && fields[2].empty()) return true;
  for (size_t i = 2; i < fields.size(); i++) {
    const size_t cut = fields[i].find('=');
    std::pair<std::string, std::string> pair;
    if (cut == std::string::npos || !unescape(fields[i].substr(0, cut), &pair.first)) return false;
    if (!unescape(fields[i].substr(cut + 1), &pair.second)) return false;
    vector->pairs.push_back(pair);
  }
  return true;
}

inline bool read_append(const Fields& fields, AppendVector* vector) {
  if (!unescape(fields[1], &vector->name) || !unescape(fields[2], &vector->value)) return false;
  if (fields[3].compare(0, 3, "Bad") != 0) return unescape(fields[3], &vector->bytes);
  vector->refusal = fields[3];
  return true;
}

inline bool read_line(const std::string& line, Vectors* vectors) {
  const Fields fields = split(line);
  const std::string& kind = fields[0];
  if ((kind == "good" || kind == "clean") && fields.size() == 9) {
    vectors->frames.emplace_back();
    return read_frame(fields, &vectors->frames.back());
  }
  if (kind == "bad" && fields.size() == 3) {
    vectors->bad.emplace_back();
    return unescape(fields[1], &vectors->bad.back().name) && bytes_of_hex(fields[2], &vectors->bad.back().frame);
  }
  if (kind == "headers" && fields.size() >= 3) {
    vectors->headers.emplace_back();
    return read_headers(fields, &vectors->headers.back());
  }
  if (kind == "append" && fields.size() == 4) {
    vectors->append.emplace_back();
    return read_append(fields, &vectors->append.back());
  }
  return false;
}

}  // namespace vector_lines

inline Vectors read_vectors(const std::string& path) {
  Vectors vectors;
  std::ifstream file(path);
  if (!file) vectors.unread.push_back("cannot open " + path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    if (!vector_lines::read_line(line, &vectors)) vectors.unread.push_back(line);
  }
  return vectors;
}

}  // namespace test
}  // namespace tofu
