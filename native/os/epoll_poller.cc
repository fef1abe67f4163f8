// epoll_poller.cc: the poller of Linux.
// Layer: os; the only file that sees epoll. Thread: the reactor's, except wake().
// Invariant: the kernel's set holds exactly the descriptors whose interest in the table is not kNoInterest, and the
// waker. The kernel is given descriptor numbers; tokens stay in the table, because an error or hang-up is reported
// without saying what was asked for.
#include "os/pollers.h"

#if defined(TOFU_HAS_EPOLL)

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

#include "os/errno_map.h"
#include "os/fd_table.h"
#include "os/plain_calls.h"
#include "os/waker.h"

namespace tofu {
namespace {

/** Events of one system call; more wait for the next, and the kernel takes turns. */
constexpr int kBatch = 256;

int plain_epoll_wait(int epoll, epoll_event* events, int capacity, int timeout_ms) {
#if defined(TOFU_PLAIN_CALLS)
  // epoll_wait itself is missing on newer architectures.
  return static_cast<int>(syscall(SYS_epoll_pwait, epoll, events, capacity, timeout_ms, nullptr, size_t{0}));
#else
  return epoll_wait(epoll, events, capacity, timeout_ms);
#endif
}

class EpollPoller final : public Poller {
 public:
  EpollPoller() = default;
  ~EpollPoller() override {
    if (epoll_ >= 0) close(epoll_);
  }

  OsError open() {
    OsError error = waker_.open();
    if (error != OsError::none) return error;
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) return last_os_error();
    return control(EPOLL_CTL_ADD, waker_.fd(), EPOLLIN);
  }

  const char* name() const override { return "epoll"; }

  OsError watch(int fd, uint64_t token, Interest before, Interest interest) override {
    if (!table_.reserve(fd)) return OsError::no_memory;
    OsError error = OsError::none;
    if (interest == kNoInterest) {
      if (before != kNoInterest) error = control(EPOLL_CTL_DEL, fd, 0);
    } else if (before != interest) {
      error = control(before == kNoInterest ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, kernel_events(interest));
    }
    if (error != OsError::none) return watch_error(error);
    Watched& watched = table_.at(fd);
    watched.token = token;
    watched.interest = interest;
    return OsError::none;
  }

  int wait(PollEvent* events, int capacity, int timeout_ms) override {
    bool woken = false;
    int count = take(events, capacity, timeout_ms, &woken);
    if (woken) waker_.drain();
    return count;
  }

  bool can_be_shared() const override { return true; }

  void sleep(int timeout_ms) override {
    epoll_event any;
    plain_epoll_wait(epoll_, &any, 1, timeout_ms);
  }

  int look(PollEvent* events, int capacity) override {
    bool woken = false;
    return take(events, capacity, 0, &woken);
  }

  void wake() override { waker_.wake(); }

 private:
  int take(PollEvent* events, int capacity, int timeout_ms, bool* woken) {
    int count = plain_epoll_wait(epoll_, batch_, capacity < kBatch ? capacity : kBatch, timeout_ms);
    int written = 0;
    for (int i = 0; i < count; i++) {
      if (batch_[i].data.fd == waker_.fd()) {
        *woken = true;
        continue;
      }
      const Watched& watched = table_.at(batch_[i].data.fd);
      events[written++] = {watched.token, ready(batch_[i].events, watched.interest)};
    }
    return written;
  }

  static uint32_t kernel_events(Interest interest) {
    uint32_t events = 0;
    if ((interest & kReadable) != 0) events |= EPOLLIN;
    if ((interest & kWritable) != 0) events |= EPOLLOUT;
    return events;
  }

  static Interest ready(uint32_t events, Interest interest) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return interest;
    Interest found = kNoInterest;
    if ((events & EPOLLIN) != 0) found |= kReadable;
    if ((events & EPOLLOUT) != 0) found |= kWritable;
    return found;
  }

  OsError control(int operation, int fd, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    return epoll_ctl(epoll_, operation, fd, &event) < 0 ? last_os_error() : OsError::none;
  }

  Waker waker_;
  int epoll_ = -1;
  FdTable table_;
  epoll_event batch_[kBatch];
};

}  // namespace

std::unique_ptr<Poller> make_epoll_poller(OsError* error) { return open_poller<EpollPoller>(error); }

}  // namespace tofu

#endif
