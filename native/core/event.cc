// event.cc: memory of events: one piece for the event and its bytes. Layer: core. Thread: any.
#include "core/event.h"

#include <cstdlib>
#include <new>

namespace tofu {

Event* make_event(size_t capacity) {
  void* memory = std::malloc(sizeof(Event) + capacity);
  if (memory == nullptr) return nullptr;
  Event* event = new (memory) Event();
  event->capacity = static_cast<uint32_t>(capacity);
  return event;
}

void free_event(Event* event) { std::free(event); }

}  // namespace tofu
