// index.ts: what `import … from 'tofu-ampe'` offers, and nothing else.
export { Reactor, type ReactorHandle } from './reactor';
export { DefaultOptions, type Options } from './engine/options';
export { type Ampe, type AmpeStats, type NativeStats } from './ampe';
export { attachGroup, type ChannelGroup, type GroupHandle } from './channel-group';
export { type WaitOptions } from './wait';
export { Message, TextHeaders, Body } from './message';
export { type BinaryHeader } from './protocol/header';
export { OpCode, Origin, isOpCode, opCodeName, messageType, messageRole, echo } from './protocol/op-code';
export { AmpeStatus, rawToStatus, statusName } from './protocol/status';
export { AmpeError, statusToError, errorToStatus, type AmpeErrorDetails } from './protocol/ampe-error';
export {
  TcpServerAddress,
  TcpClientAddress,
  UdsServerAddress,
  UdsClientAddress,
  Address,
  type AddressableMessage,
} from './protocol/address';
