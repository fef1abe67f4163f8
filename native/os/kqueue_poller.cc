// kqueue_poller.cc: the poller of macOS and the BSDs.
// Layer: os; the only file that sees sys/event.h. Thread: the reactor's, except wake().
// Invariant: the kernel has one filter per direction that somebody is interested in, with the token as its user data;
// the table knows the same. A descriptor readable and writable at once is two events of the kernel but one of ours.
#include "os/pollers.h"

#if defined(TOFU_HAS_KQUEUE)

#include <sys/types.h>
// Needs sys/types.h before it on some BSDs.
#include <sys/event.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <initializer_list>
#include <utility>

#include "os/errno_map.h"
#include "os/fd_table.h"

namespace tofu {
namespace {

/** Events of one system call; more wait for the next, and the kernel takes turns. */
constexpr int kBatch = 256;

using UserData = decltype(std::declval<struct kevent>().udata);
static_assert(sizeof(UserData) == sizeof(uint64_t), "a token must fit into the user data of an event");

class KqueuePoller final : public Poller {
 public:
  KqueuePoller() = default;
  ~KqueuePoller() override {
    if (kqueue_ >= 0) close(kqueue_);
  }

  OsError open() {
    kqueue_ = kqueue();
    if (kqueue_ < 0) return last_os_error();
    if (fcntl(kqueue_, F_SETFD, FD_CLOEXEC) < 0) return last_os_error();
    return change(kWakeIdent, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
  }

  const char* name() const override { return "kqueue"; }

  OsError watch(int fd, uint64_t token, Interest before, Interest interest) override {
    if (!table_.reserve(fd)) return OsError::no_memory;
    Watched& watched = table_.at(fd);
    // Adding again only replaces the user data, so what is there already is left alone unless the token is a new one.
    const Interest kept = watched.token == token ? before : kNoInterest;
    const Interest added = static_cast<Interest>(interest & ~kept);
    OsError error = add(fd, token, added & kReadable);
    if (error == OsError::none) {
      error = add(fd, token, added & kWritable);
      if (error != OsError::none) restore(fd, watched.token, before, added & kReadable);
    }
    if (error != OsError::none) return watch_error(error);
    const Interest removed = static_cast<Interest>(before & ~interest);
    remove(fd, removed);
    watched.token = token;
    watched.interest = interest;
    return OsError::none;
  }

  int wait(PollEvent* events, int capacity, int timeout_ms) override {
    timespec timeout{timeout_ms / 1000, static_cast<long>(timeout_ms % 1000) * 1'000'000};
    int count =
        kevent(kqueue_, nullptr, 0, batch_, capacity < kBatch ? capacity : kBatch, timeout_ms < 0 ? nullptr : &timeout);
    int written = 0;
    for (int i = 0; i < count; i++) {
      if (batch_[i].filter == EVFILT_USER) {
        // EV_CLEAR has silenced the filter already; only now may the next wake() trigger it again.
        raised_.exchange(false);
        continue;
      }
      // An end of the stream or an error arrives as an event of each filter, that is, of what was asked for.
      const Interest ready = batch_[i].filter == EVFILT_READ ? kReadable : kWritable;
      const uint64_t token = reinterpret_cast<uint64_t>(batch_[i].udata);
      Watched& watched = table_.at(static_cast<int>(batch_[i].ident));
      if (watched.position < written && events[watched.position].token == token) {
        events[watched.position].ready |= ready;
      } else {
        watched.position = written;
        events[written++] = {token, ready};
      }
    }
    return written;
  }

  void wake() override {
    if (!raised_.exchange(true)) change(kWakeIdent, EVFILT_USER, 0, NOTE_TRIGGER, 0);
  }

 private:
  static constexpr uintptr_t kWakeIdent = 0;

  OsError change(uintptr_t ident, int filter, unsigned flags, unsigned filter_flags, uint64_t token) {
    struct kevent event {};
    event.ident = ident;
    event.filter = static_cast<decltype(event.filter)>(filter);
    event.flags = static_cast<decltype(event.flags)>(flags);
    event.fflags = filter_flags;
    event.udata = reinterpret_cast<UserData>(token);
    int done;
    do {
      done = kevent(kqueue_, &event, 1, nullptr, 0, nullptr);
    } while (done < 0 && errno == EINTR);
    return done < 0 ? last_os_error() : OsError::none;
  }

  static int filter_of(Interest direction) { return direction == kReadable ? EVFILT_READ : EVFILT_WRITE; }

  OsError add(int fd, uint64_t token, Interest direction) {
    if (direction == kNoInterest) return OsError::none;
    return change(static_cast<uintptr_t>(fd), filter_of(direction), EV_ADD, 0, token);
  }

  void remove(int fd, Interest interest) {
    for (Interest direction : {kReadable, kWritable}) {
      // A filter that is not there (its descriptor was closed) is as good as removed.
      if ((interest & direction) != 0) change(static_cast<uintptr_t>(fd), filter_of(direction), EV_DELETE, 0, 0);
    }
  }

  /** After the second of two additions failed: the first one as it was. */
  void restore(int fd, uint64_t token, Interest before, Interest direction) {
    if ((before & direction) != 0) {
      add(fd, token, direction);
    } else {
      remove(fd, direction);
    }
  }

  int kqueue_ = -1;
  std::atomic<bool> raised_{false};
  FdTable table_;
  struct kevent batch_[kBatch];
};

}  // namespace

std::unique_ptr<Poller> make_kqueue_poller(OsError* error) { return open_poller<KqueuePoller>(error); }

}  // namespace tofu

#endif
