// processors.h: how many processors this process may use. Layer: os. Thread: any.
#pragma once

namespace tofu {

/** Processors the calling thread may run on, at least 1: those of its affinity where the system has one, else those that are online. */
int usable_processors();

}  // namespace tofu
