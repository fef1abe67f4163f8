// channel-state.ts: the life of a connection as one table (protocol section 4).
// A state says three things: how far the connection is, what became of our own Bye, and whether the peer's Bye is here.
// The table is data, so that another engine in another language can be compared with it row by row.
// Invariant: an event that has no row in a state cannot happen there; next() asserts it.

/** States of a connection. `ended`: no socket any more, what is left waits for the receiver. */
export type ChannelState =
  | 'connecting' // we dial
  | 'greeting' // accepted; its HelloRequest has not come, the application has not seen it
  | 'open'
  | 'byeHeard' // the peer's ByeRequest is here, ours not posted
  | 'byePosted' // our ByeRequest waits behind what is unsent
  | 'byePostedHeard' // and the peer's Bye is here already
  | 'byeSent' // our ByeRequest is in the kernel
  | 'answerPosted' // our ByeResponse waits, the peer has said no Bye
  | 'answerPostedHeard'
  | 'answerSent'
  | 'answerSentHeard'
  | 'finishing' // both Byes are done: nothing to send, read to the end
  | 'ended';

export type ChannelEvent =
  | 'connected'
  | 'hello' // a HelloRequest arrived
  | 'data' // a Request, Response, Signal or HelloResponse arrived
  | 'byeRequest'
  | 'byeResponse'
  | 'postBye'
  | 'postAnswer'
  | 'byeOut' // our own Bye is in the kernel
  | 'eof'
  | 'gone'; // the socket is lost, reset, aborted, or its deadline passed

/**
 * What the engine does beside changing the state: `deliver` the frame; `drop` it; `violation`: reset; `deadline`: start
 * the close deadline; `finish`: shut down for writing and read to the end (`deliverFinish`: deliver first);
 * `conclude`: as deliverFinish, and what is unsent comes back; `end`: the connection is over.
 */
export type ChannelAction =
  'none' | 'deliver' | 'drop' | 'violation' | 'deadline' | 'finish' | 'deliverFinish' | 'conclude' | 'end';

type Row = Partial<Record<ChannelEvent, readonly [ChannelState, ChannelAction]>>;

/** state → event → [next state, action]. */
export const CHANNEL_TABLE: Readonly<Record<ChannelState, Row>> = {
  connecting: {
    connected: ['open', 'none'],
    postBye: ['connecting', 'none'],
    postAnswer: ['connecting', 'none'],
    gone: ['ended', 'end'],
  },
  greeting: {
    hello: ['open', 'deliver'],
    data: ['ended', 'violation'],
    byeRequest: ['ended', 'violation'],
    byeResponse: ['ended', 'violation'],
    eof: ['ended', 'end'],
    gone: ['ended', 'end'],
  },
  open: {
    hello: ['ended', 'violation'],
    data: ['open', 'deliver'],
    byeRequest: ['byeHeard', 'deliver'],
    byeResponse: ['finishing', 'conclude'],
    postBye: ['byePosted', 'none'],
    postAnswer: ['answerPosted', 'none'],
    eof: ['ended', 'end'],
    gone: ['ended', 'end'],
  },
  byeHeard: {
    hello: ['byeHeard', 'drop'],
    data: ['byeHeard', 'drop'],
    byeRequest: ['byeHeard', 'drop'],
    byeResponse: ['byeHeard', 'drop'],
    postBye: ['byePostedHeard', 'none'],
    postAnswer: ['answerPostedHeard', 'none'],
    eof: ['ended', 'end'],
    gone: ['ended', 'end'],
  },
  byePosted: {
    hello: ['ended', 'violation'],
    data: ['byePosted', 'deliver'],
    byeRequest: ['byePostedHeard', 'deliver'],
    byeResponse: ['byePostedHeard', 'deliver'],
    byeOut: ['byeSent', 'deadline'],
    eof: ['ended', 'end'],
    gone: ['ended', 'end'],
  },
  byePostedHeard: {
    hello: ['byePostedHeard', 'drop'],
    data: ['byePostedHeard', 'drop'],
    byeRequest: ['byePostedHeard', 'drop'],
    byeResponse: ['byePostedHeard', 'drop'],
    byeOut: ['finishing', 'finish'],
    eof: ['ended', 'end'],
    gone: ['ended', 'end'],
  },
  byeSent: {
    hello: ['ended', 'violation'],
    data: ['byeSent', 'deliver'],
    byeRequest: ['finishing', 'deliverFinish'],
    byeResponse: ['finishing', 'deliverFinish'],
    eof: ['ended', 'end'],
    gone: ['ended', 'end'],
  },
  answerPosted: {
    hello: ['ended', 'violation'],
    data: ['answerPosted', 'deliver'],
    byeRequest: ['answerPostedHeard', 'deliver'],
    byeResponse: ['byePostedHeard', 'deliver'],
    byeOut: ['answerSent', 'deadline'],
    eof: ['ended', 'end'],
    gone: ['ended', 'end'],
  },
  answerPostedHeard: {
    hello: ['answerPostedHeard', 'drop'],
    data: ['answerPostedHeard', 'drop'],
    byeRequest: ['answerPostedHeard', 'drop'],
    byeResponse: ['answerPostedHeard', 'drop'],
    byeOut: ['answerSentHeard', 'deadline'],
    eof: ['ended', 'end'],
    gone: ['ended', 'end'],
  },
  answerSent: {
    hello: ['ended', 'violation'],
    data: ['answerSent', 'deliver'],
    byeRequest: ['answerSentHeard', 'deliver'],
    byeResponse: ['finishing', 'deliverFinish'],
    eof: ['ended', 'end'],
    gone: ['ended', 'end'],
  },
  answerSentHeard: {
    hello: ['answerSentHeard', 'drop'],
    data: ['answerSentHeard', 'drop'],
    byeRequest: ['answerSentHeard', 'drop'],
    byeResponse: ['answerSentHeard', 'drop'],
    eof: ['ended', 'end'],
    gone: ['ended', 'end'],
  },
  finishing: {
    hello: ['finishing', 'drop'],
    data: ['finishing', 'drop'],
    byeRequest: ['finishing', 'drop'],
    byeResponse: ['finishing', 'drop'],
    eof: ['ended', 'end'],
    gone: ['ended', 'end'],
  },
  ended: {},
};

/** The row for `event` in `state`. An impossible event is a bug of ours and throws. */
export function next(state: ChannelState, event: ChannelEvent): readonly [ChannelState, ChannelAction] {
  const row = CHANNEL_TABLE[state][event];
  if (row === undefined) throw new Error(`channel state machine: '${event}' cannot happen in '${state}'`);
  return row;
}

/** Whether everything that still arrives is discarded: the peer's Bye is here. */
export function isDeaf(state: ChannelState): boolean {
  return CHANNEL_TABLE[state].data?.[1] === 'drop';
}
