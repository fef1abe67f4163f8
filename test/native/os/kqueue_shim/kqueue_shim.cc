// kqueue_shim.cc: kqueue() and kevent() over epoll. Included by the test that runs kqueue_poller.cc on Linux.
// Like kqueue: one filter per descriptor and direction with its own user data, adding again replaces the user data,
// deleting what is not there is ENOENT, a hang-up fires every filter of its descriptor and none when it has no filter,
// and a user event is silent again once it was handed out.
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <vector>

namespace {

struct Filters {
  bool read = false;
  bool write = false;
  void* read_data = nullptr;
  void* write_data = nullptr;
};

struct Queue {
  int user = -1;
  std::map<int, Filters> filters;
};

std::mutex shim_mutex;
std::map<int, Queue> shim_queues;
/** A test sets it: adding this filter is ENOMEM. */
int shim_refused_filter = 0;

int shim_update(int queue, int fd, const Filters& before, const Filters& now) {
  epoll_event event{};
  event.data.fd = fd;
  event.events = (now.read ? EPOLLIN | EPOLLRDHUP : 0u) | (now.write ? EPOLLOUT : 0u);
  if (!now.read && !now.write) return epoll_ctl(queue, EPOLL_CTL_DEL, fd, nullptr);
  if (!before.read && !before.write) return epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event);
  return epoll_ctl(queue, EPOLL_CTL_MOD, fd, &event);
}

int shim_change_user(int queue, Queue& state, const struct kevent& change) {
  if ((change.flags & EV_ADD) != 0) {
    state.user = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    epoll_event event{};
    event.data.fd = state.user;
    event.events = EPOLLIN;
    return epoll_ctl(queue, EPOLL_CTL_ADD, state.user, &event);
  }
  if (state.user < 0) {
    errno = ENOENT;
    return -1;
  }
  return eventfd_write(state.user, 1);
}

int shim_change(int queue, Queue& state, const struct kevent& change) {
  if (change.filter == EVFILT_USER) return shim_change_user(queue, state, change);
  const int fd = static_cast<int>(change.ident);
  const bool adding = (change.flags & EV_ADD) != 0;
  if (adding && change.filter == shim_refused_filter) {
    errno = ENOMEM;
    return -1;
  }
  Filters& filters = state.filters[fd];
  Filters now = filters;
  bool& there = change.filter == EVFILT_READ ? now.read : now.write;
  void*& data = change.filter == EVFILT_READ ? now.read_data : now.write_data;
  if (!adding && !there) {
    errno = ENOENT;
    return -1;
  }
  there = adding;
  data = change.udata;
  if (shim_update(queue, fd, filters, now) < 0) return -1;
  filters = now;
  return 0;
}

struct kevent shim_event(int fd, int filter, uint32_t ready, void* data) {
  struct kevent event {};
  event.ident = static_cast<uintptr_t>(fd);
  event.filter = static_cast<int16_t>(filter);
  if ((ready & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0) event.flags = static_cast<uint16_t>(EV_EOF);
  event.udata = data;
  return event;
}

int shim_translate(Queue& state, const epoll_event& one, struct kevent* events, int room) {
  const int fd = one.data.fd;
  if (fd == state.user) {
    eventfd_t drained;
    eventfd_read(state.user, &drained);
    events[0] = shim_event(0, EVFILT_USER, 0, nullptr);
    return 1;
  }
  const bool ended = (one.events & (EPOLLHUP | EPOLLERR)) != 0;
  const Filters& filters = state.filters[fd];
  int count = 0;
  if (filters.read && (ended || (one.events & (EPOLLIN | EPOLLRDHUP)) != 0) && count < room) {
    events[count++] = shim_event(fd, EVFILT_READ, one.events, filters.read_data);
  }
  if (filters.write && (ended || (one.events & EPOLLOUT) != 0) && count < room) {
    events[count++] = shim_event(fd, EVFILT_WRITE, one.events, filters.write_data);
  }
  return count;
}

}  // namespace

int kqueue() {
  int queue = epoll_create1(0);
  if (queue < 0) return queue;
  std::lock_guard<std::mutex> lock(shim_mutex);
  // Nobody tells when a queue is closed; its number coming back does.
  Queue& state = shim_queues[queue];
  if (state.user >= 0) close(state.user);
  state = Queue{};
  return queue;
}

int kevent(int queue, const struct kevent* changes, int change_count, struct kevent* events, int event_count,
           const timespec* timeout) {
  {
    std::lock_guard<std::mutex> lock(shim_mutex);
    for (int i = 0; i < change_count; i++) {
      if (shim_change(queue, shim_queues[queue], changes[i]) < 0) return -1;
    }
  }
  if (event_count == 0) return 0;
  const int wait_ms = timeout == nullptr ? -1 : static_cast<int>(timeout->tv_sec * 1000 + timeout->tv_nsec / 1'000'000);
  // Half of the room, since each may become two.
  std::vector<epoll_event> ready(static_cast<size_t>(std::max(1, event_count / 2)));
  int found = epoll_wait(queue, ready.data(), static_cast<int>(ready.size()), wait_ms);
  if (found < 0) return -1;
  std::lock_guard<std::mutex> lock(shim_mutex);
  int written = 0;
  for (int i = 0; i < found; i++) {
    written +=
        shim_translate(shim_queues[queue], ready[static_cast<size_t>(i)], events + written, event_count - written);
  }
  return written;
}
