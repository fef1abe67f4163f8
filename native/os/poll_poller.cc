// poll_poller.cc: the poller for systems with nothing better, and for tests that force it.
// Layer: os; the only file that sees poll.h. Thread: the reactor's, except wake().
// Invariant: slot 0 of the array is the waker; the others are the descriptors with interest, without gaps, and the
// table knows the slot of each. Costs time in proportion to the number of descriptors; so be it.
#include "os/pollers.h"

#include <poll.h>

#include <cstdlib>

#include "os/fd_table.h"
#include "os/waker.h"

namespace tofu {
namespace {

constexpr int kFirstSlots = 64;

class PollPoller final : public Poller {
 public:
  PollPoller() = default;
  ~PollPoller() override { std::free(slots_); }

  OsError open() {
    OsError error = waker_.open();
    if (error != OsError::none) return error;
    if (!reserve_slot()) return OsError::no_memory;
    slots_[count_++] = pollfd{waker_.fd(), POLLIN, 0};
    return OsError::none;
  }

  const char* name() const override { return "poll"; }

  OsError watch(int fd, uint64_t token, Interest before, Interest interest) override {
    if (!table_.reserve(fd)) return OsError::no_memory;
    Watched& watched = table_.at(fd);
    if (interest == kNoInterest) {
      if (before != kNoInterest) remove(watched);
    } else {
      if (before == kNoInterest) {
        if (!reserve_slot()) return OsError::no_memory;
        watched.position = count_;
        slots_[count_++] = pollfd{fd, 0, 0};
      }
      slots_[watched.position].events = kernel_events(interest);
    }
    watched.token = token;
    watched.interest = interest;
    return OsError::none;
  }

  int wait(PollEvent* events, int capacity, int timeout_ms) override {
    int found = poll(slots_, static_cast<nfds_t>(count_), timeout_ms);
    if (found <= 0) return 0;
    if (slots_[0].revents != 0) {
      waker_.drain();
      found--;
    }
    // Each call begins where the last one stopped: with more ready descriptors than room, the first ones would
    // otherwise be all that is ever seen.
    int written = 0;
    int at = next_;
    for (int looked = 1; looked < count_ && written < found && written < capacity; looked++, at++) {
      if (at >= count_) at = 1;
      if (slots_[at].revents == 0) continue;
      const Watched& watched = table_.at(slots_[at].fd);
      events[written++] = {watched.token, ready(slots_[at].revents, watched.interest)};
    }
    next_ = at;
    return written;
  }

  void wake() override { waker_.wake(); }

 private:
  static short kernel_events(Interest interest) {
    int events = 0;
    if ((interest & kReadable) != 0) events |= POLLIN;
    if ((interest & kWritable) != 0) events |= POLLOUT;
    return static_cast<short>(events);
  }

  static Interest ready(short events, Interest interest) {
    if ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0) return interest;
    Interest found = kNoInterest;
    if ((events & POLLIN) != 0) found |= kReadable;
    if ((events & POLLOUT) != 0) found |= kWritable;
    return found;
  }

  bool reserve_slot() {
    if (count_ < capacity_) return true;
    int grown = capacity_ == 0 ? kFirstSlots : capacity_ * 2;
    auto* bigger = static_cast<pollfd*>(std::realloc(slots_, static_cast<size_t>(grown) * sizeof(pollfd)));
    if (bigger == nullptr) return false;
    slots_ = bigger;
    capacity_ = grown;
    return true;
  }

  void remove(Watched& watched) {
    const pollfd& last = slots_[--count_];
    table_.at(last.fd).position = watched.position;
    slots_[watched.position] = last;
  }

  Waker waker_;
  FdTable table_;
  pollfd* slots_ = nullptr;
  int count_ = 0;
  int capacity_ = 0;
  int next_ = 1;
};

}  // namespace

std::unique_ptr<Poller> make_poll_poller(OsError* error) { return open_poller<PollPoller>(error); }

}  // namespace tofu
