// channel-table.ts: what post() may know of a channel number, in flat arrays that grow with the greatest number.
// The engine writes it, the group's thread reads it. A generation counts the lives of a number, so that a message kept
// from an earlier life is recognised (protocol section 4, Number quarantine).
import { PostChannelState, refuseChannel } from '../protocol/post-check';
import type { AmpeStatus } from '../protocol/status';

export class ChannelTable {
  state = new Uint8Array(64);
  group = new Uint32Array(64);
  generation = new Uint32Array(64);

  /**
   * A new life of `channel`: unknown to the application until setState() says otherwise.
   * @param generation which life, where the engine counts them itself; 0: the next one
   */
  open(channel: number, group: number, generation = 0): number {
    if (channel >= this.state.length) this.#grow(channel);
    const life = generation || (this.generation[channel] + 1) >>> 0 || 1;
    this.state[channel] = PostChannelState.unknown;
    this.group[channel] = group;
    this.generation[channel] = life;
    return life;
  }
  setState(channel: number, state: number): void {
    this.state[channel] = state;
  }

  /** Whether it is open and `group`'s, and lives the life the message was received in (0: none): nothing is to be refused then. */
  isOpen(channel: number, generation: number, group: number): boolean {
    return (
      this.state[channel] === PostChannelState.open &&
      this.group[channel] === group &&
      (generation === 0 || generation === this.generation[channel])
    );
  }
  /**
   * Whether a message of `group` to that channel is to be refused (rows 7 to 9 of the checks), and why.
   * @param generation the life of the channel number that the message was received in; 0: none
   */
  refuse(channel: number, generation: number, group: number, opCode: number): AmpeStatus {
    const state = (this.state[channel] ?? PostChannelState.unknown) as PostChannelState;
    return refuseLife(state, this.generation[channel], this.group[channel] === group, generation, opCode);
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

/** refuseChannel() for a message that may come from an earlier life of the number: that one is closed. */
export function refuseLife(
  state: PostChannelState,
  life: number | undefined,
  sameGroup: boolean,
  generation: number,
  opCode: number,
): AmpeStatus {
  if (generation !== 0 && generation !== life) return refuseChannel(PostChannelState.closed, true, opCode);
  return refuseChannel(state, sameGroup, opCode);
}
