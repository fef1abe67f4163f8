// scheduling.h: what the kernel may know about a thread that does little at a time and should do it soon. Layer: os. Thread: the calling one.
#pragma once

namespace tofu {

/**
 * Asks for short slices: a thread that wakes then need not wait until one that computes has used up its own, which takes milliseconds
 * where every processor is busy. Its share does not grow. Nothing happens where the system knows no such thing.
 */
void prefer_short_slices();

}  // namespace tofu
