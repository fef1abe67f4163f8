// channel-table.ts: what post() may know of a channel number, in flat arrays that grow with the greatest number.
// The engine writes it, the group's thread reads it. A generation counts the lives of a number, so that a message kept
// from an earlier life is recognised (protocol section 4, Number quarantine).
import { PostChannelState } from '../protocol/post-check';

export class ChannelTable {
  state = new Uint8Array(64);
  group = new Uint32Array(64);
  generation = new Uint32Array(64);

  /** A new life of `channel`: unknown to the application until setState() says otherwise. */
  open(channel: number, group: number): number {
    if (channel >= this.state.length) this.#grow(channel);
    this.state[channel] = PostChannelState.unknown;
    this.group[channel] = group;
    const generation = (this.generation[channel] + 1) >>> 0 || 1;
    this.generation[channel] = generation;
    return generation;
  }
  setState(channel: number, state: number): void {
    this.state[channel] = state;
  }

  #grow(channel: number): void {
    const size = Math.min(65536, Math.max(channel + 1, this.state.length * 2));
    const grown = { state: new Uint8Array(size), group: new Uint32Array(size), generation: new Uint32Array(size) };
    grown.state.set(this.state);
    grown.group.set(this.group);
    grown.generation.set(this.generation);
    Object.assign(this, grown);
  }
}
