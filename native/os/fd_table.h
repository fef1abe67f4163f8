// fd_table.h: what a poller knows about each descriptor, found by its number.
// Layer: os, internal. Owner: a poller; its thread only. Descriptors are small numbers, so the table is an array.
// Invariant: an entry with kNoInterest is not in the kernel's set. Growth may fail, and then nothing has changed.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "os/poller.h"

namespace tofu {

struct Watched {
  uint64_t token = 0;
  /** poll: where it stands in the array for the kernel. kqueue: its event in the batch at hand. */
  int position = 0;
  Interest interest = kNoInterest;
};

class FdTable {
 public:
  FdTable() = default;
  ~FdTable() { std::free(entries_); }
  FdTable(const FdTable&) = delete;
  FdTable& operator=(const FdTable&) = delete;

  /** Makes room for `fd`; false: no memory. */
  bool reserve(int fd) {
    if (fd < capacity_) return true;
    int grown = capacity_ < kFirst ? kFirst : capacity_;
    while (grown <= fd) grown = grown > kMost / 2 ? kMost : grown * 2;
    auto* bigger = static_cast<Watched*>(std::realloc(entries_, static_cast<size_t>(grown) * sizeof(Watched)));
    if (bigger == nullptr) return false;
    for (int i = capacity_; i < grown; i++) bigger[i] = Watched{};
    entries_ = bigger;
    capacity_ = grown;
    return true;
  }
  /** Only of a reserved one. */
  Watched& at(int fd) { return entries_[fd]; }
  /** Null: never reserved. */
  Watched* find(int fd) { return fd < capacity_ ? &entries_[fd] : nullptr; }

 private:
  static constexpr int kFirst = 64;
  static constexpr int kMost = INT32_MAX;

  Watched* entries_ = nullptr;
  int capacity_ = 0;
};

}  // namespace tofu
