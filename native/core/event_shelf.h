// event_shelf.h: events that nobody needs any more and that are used again, so that a steady flow asks for no memory. Received bytes
// travel in them from the engine's thread to an application's; emptied, they go back the same way.
// Layer: core. Owner: a port, one for each of its sides and one between them. Thread: its side's, or under the inbox's lock.
// Invariant: at most kMost[n] events of size n lie here, whatever a burst had in use at once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/fifo.h"
#include "core/event.h"

namespace tofu {

class EventShelf {
 public:
  static constexpr size_t kSizes = 3;
  /** What a message or two takes, what a good batch of them takes, and a whole read. */
  static constexpr uint32_t kBytes[kSizes] = {1024, 16 * 1024, kChunkBytes};
  static constexpr uint32_t kMost[kSizes] = {128, 4, 4};

  EventShelf() = default;
  ~EventShelf() {
    for (auto& events : events_) {
      while (Event* event = events.take()) free_event(event);
    }
  }
  EventShelf(const EventShelf&) = delete;
  EventShelf& operator=(const EventShelf&) = delete;

  /** The least size for that many bytes; kSizes: there is none. */
  static size_t size_for(size_t bytes) {
    size_t size = 0;
    while (size < kSizes && kBytes[size] < bytes) size++;
    return size;
  }
  bool has(size_t size) const { return !events_[size].empty(); }
  /** Null: none is here. */
  Event* take(size_t size) {
    Event* event = events_[size].take();
    if (event == nullptr) return nullptr;
    counts_[size]--;
    *event = Event();
    event->capacity = kBytes[size];
    return event;
  }
  /** Keeps it, or frees it. */
  void put(Event* event) {
    for (size_t size = 0; size < kSizes; size++) {
      if (event->capacity != kBytes[size] || counts_[size] >= kMost[size]) continue;
      events_[size].push_front(event);  // what was used last is in the cache
      counts_[size]++;
      return;
    }
    free_event(event);
  }
  /** Takes over what the other one has, as far as there is room. */
  void fill_from(EventShelf& other) {
    for (size_t size = 0; size < kSizes; size++) {
      while (counts_[size] < kMost[size]) {
        Event* event = other.events_[size].take();
        if (event == nullptr) break;
        other.counts_[size]--;
        events_[size].push_front(event);
        counts_[size]++;
      }
    }
  }

 private:
  Fifo<Event> events_[kSizes];
  uint32_t counts_[kSizes] = {};
};

}  // namespace tofu
