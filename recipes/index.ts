// index.ts: the parts of the recipes that programs can use as they are ('tofu-ampe/recipes'). The recipes themselves
// are programs; each exports run() from its own file.

export {
  answerBye,
  ask,
  clientAddress,
  connect,
  disconnect,
  hangUp,
  isEndOf,
  listen,
  receive,
  receiveUntilEnd,
  serverAddress,
  tryPost,
  type Channel,
  type Listener,
  type RecipeOptions,
} from './support/connection';
export { OpenChannels, shutdownServer, type Shutdown } from './support/open-channels';
export {
  EchoServices,
  answerHelloOrBye,
  serve,
  startServer,
  type RunningServer,
  type ServeOptions,
  type Services,
} from './services';
export { RequestMatcher, pipelined } from './pipelined-requests';
export { PIECE_BYTES, UpperCaseServices, exchange, sendStream } from './streaming';
export { JobServices, requestWithProgress } from './progress-signals';
export { Heartbeat, receiveWithHeartbeat, type HeartbeatOptions } from './heartbeat';
export {
  ReconnectingClient,
  backoff,
  type BackoffOptions,
  type ReconnectOptions,
  type Session,
} from './reconnecting-client';
export { finish, forward, submit } from './wake-receiver';
export { WorkerPool, type WorkerPoolOptions } from './worker-pool';
