// diagnostics.ts: what happens silently otherwise, for who subscribes: three diagnostics_channel names.
// Nothing is built when nobody listens.
import { channel } from 'node:diagnostics_channel';

const poolEmpty = channel('tofu-ampe:pool-empty');
const channelClosed = channel('tofu-ampe:channel-closed');
const protocolViolation = channel('tofu-ampe:protocol-violation');

/** A receiver asks, frames wait, and no message is free. `unreturned` is there in debug mode. */
export function publishPoolEmpty(event: () => { group: number; poolTotal: number; unreturned: unknown }): void {
  if (poolEmpty.hasSubscribers) poolEmpty.publish(event());
}
/** The last word of a channel was delivered. */
export function publishChannelClosed(group: number, channelNumber: number): void {
  if (channelClosed.hasSubscribers) channelClosed.publish({ group, channelNumber });
}
/** A peer broke the protocol; channelNumber is 0 when the application had not seen the channel. */
export function publishProtocolViolation(group: number, channelNumber: number): void {
  if (protocolViolation.hasSubscribers) protocolViolation.publish({ group, channelNumber });
}
