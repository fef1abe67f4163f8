// sys/event.h: as much of kqueue as kqueue_poller.cc uses, played on Linux by epoll and eventfd (kqueue_shim.cc).
// Test only. The logic of that poller is simulated with it and was never run on macOS; the script kqueue-compile.mjs
// compiles it against the real header. Numbers and field types are those of macOS.
#pragma once
// A function beside a type of the same name, as there: warnings about that are as unwanted as for a real system header.
#pragma GCC system_header

#include <cstdint>
#include <ctime>

struct kevent {
  uintptr_t ident;
  int16_t filter;
  uint16_t flags;
  uint32_t fflags;
  intptr_t data;
  void* udata;
};

constexpr int EVFILT_READ = -1;
constexpr int EVFILT_WRITE = -2;
constexpr int EVFILT_USER = -10;
constexpr unsigned EV_ADD = 0x0001;
constexpr unsigned EV_DELETE = 0x0002;
constexpr unsigned EV_CLEAR = 0x0020;
constexpr unsigned EV_EOF = 0x8000;
constexpr unsigned NOTE_TRIGGER = 0x01000000;

int kqueue();
int kevent(int queue, const struct kevent* changes, int change_count, struct kevent* events, int event_count,
           const timespec* timeout);
