// What a conformance case needs, in one import.
export { rule, type CaseBody } from './rule';
export { Cell, type Pair, type RawLink } from './cell';
export {
  Side,
  fill,
  helloFails,
  portOf,
  refusal,
  rejection,
  seen,
  type ListenerInfo,
  type MessageInit,
  type OpCodeName,
  type Seen,
} from './side';
export { DEADLINE_MS, eventually, turns, within } from './deadline';
export { WIRE, frame, parseFrame, type FrameInit, type RawFrame } from './bytes';
export { RawPeer, RawServer, connectRaw } from './raw-peer';
export { readVectors } from '../../unit/protocol/vectors';
