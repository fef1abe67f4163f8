// waker.cc: eventfd or pipe, behind one flag.
// Layer: os. Thread: see waker.h.
#include "os/waker.h"

#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "os/descriptors.h"
#include "os/errno_map.h"

#if defined(__linux__)
#include <sys/eventfd.h>
#endif

namespace tofu {

OsError Waker::open() {
#if defined(__linux__)
  reader_ = writer_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return reader_ < 0 ? last_os_error() : OsError::none;
#else
  return open_pipe(&reader_, &writer_);
#endif
}

Waker::~Waker() {
  if (reader_ >= 0) close(reader_);
  if (writer_ >= 0 && writer_ != reader_) close(writer_);
}

void Waker::wake() {
  if (raised_.exchange(true)) return;
  // eventfd takes eight bytes and a pipe takes any; a full one is readable, which is all that is wanted.
  const uint64_t one = 1;
  ssize_t written;
  do {
    written = write(writer_, &one, sizeof(one));
  } while (written < 0 && errno == EINTR);
}

void Waker::drain() {
  // Emptied first, lowered second: the other way round, a wake in between would be swallowed with its flag left up, and
  // no later one would ever write again.
  uint64_t bytes[8];
  ssize_t got;
  do {
    got = read(reader_, bytes, sizeof(bytes));
  } while ((got < 0 && errno == EINTR) || got == static_cast<ssize_t>(sizeof(bytes)));
  raised_.exchange(false);
}

}  // namespace tofu
