// send-batch.ts: many queued frames as one write. Small frames are copied side by side, large ones go from where they are.
// Knows frames and buffers only. The staging memory is one for the thread: what collect() returns is good until its next
// call, which suffices because the bytes are written at once.
import type { Frame } from '../engine/frame';
import type { Queue } from '../engine/queue';

/** One batch: what a Unix socket's buffer takes at most by default. */
const BATCH_BYTES = 208 * 1024;
/** Above this a view, 20 to 40 ns and a buffer more in the write, costs less than a copy: 4 KiB take 110 to 200 ns. */
const COPY_BYTES = 4096;
/** Fewer than the 1024 buffers a gathering write may have, three for each frame. */
const MAX_BUFFERS = 1000;

let staging: Buffer | null = null;

export interface Batch {
  buffers: Buffer[];
  length: number;
}

/** The head of the queue as buffers for one gathering write. */
export function collect(queue: Queue<Frame>): Batch {
  staging ??= Buffer.allocUnsafeSlow(BATCH_BYTES);
  const buffers: Buffer[] = [];
  let from = 0;
  let to = 0;
  let length = 0;
  for (let i = 0; i < queue.length && buffers.length < MAX_BUFFERS; i++) {
    const frame = queue.at(i)!;
    const bytes = frame.byteLength;
    if (i > 0 && length + bytes > BATCH_BYTES) break;
    if (bytes <= COPY_BYTES) {
      frame.copyTo(staging, to);
      to += bytes;
    } else {
      if (from < to) buffers.push(staging.subarray(from, to));
      from = to;
      frame.addViews(buffers);
    }
    length += bytes;
  }
  if (from < to) buffers.push(staging.subarray(from, to));
  return { buffers, length };
}

/** The head of the queue as one buffer of its own, for a write that ends later. */
export function copyOf(queue: Queue<Frame>): { bytes: Buffer; frames: number } {
  const { buffers, length } = collect(queue);
  const bytes = Buffer.concat(buffers, length);
  let frames = 0;
  for (let covered = 0; covered < length; frames++) covered += queue.at(frames)!.byteLength;
  return { bytes, frames };
}
