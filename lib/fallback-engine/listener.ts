// listener.ts: one listening channel: from its WelcomeRequest to its last word. Accepted connections live on without it.
// Owner: the engine. Invariant: the WelcomeRequest is answered exactly once, as WelcomeResponse, before the last word.
import { LISTEN_ON, MAX_TEXT_HEADERS_BYTES, ORIGIN_BIT } from '../protocol/constants';
import { parseEndpoint, type Endpoint } from '../protocol/address';
import { OpCode } from '../protocol/op-code';
import { AmpeStatus } from '../protocol/status';
import { encodeField, nextField } from '../protocol/text-headers-codec';
import type { Frame } from '../engine/frame';
import type { MailSource } from '../engine/mailbox';
import { isUsable, ListenSocket } from './net';
import { endpointOf, type EngineOfConnection, type GroupOfConnection } from './reactor';

export class Listener implements MailSource {
  told = false;
  /** What the system said when it ended, an errno name, or ''. */
  errorCode = '';
  readonly idHigh: number;
  readonly idLow: number;
  readonly #engine: EngineOfConnection;
  readonly #group: GroupOfConnection;
  #welcome: Frame | null;
  #answer: Frame | null = null;
  #socket: ListenSocket | null = null;
  #ended = false;

  constructor(
    engine: EngineOfConnection,
    group: GroupOfConnection,
    readonly channel: number,
    readonly generation: number,
    welcome: Frame,
  ) {
    this.#engine = engine;
    this.#group = group;
    this.#welcome = welcome;
    this.idHigh = welcome.idHigh;
    this.idLow = welcome.idLow;
  }

  /** Binds and listens. The engine knows the listener by now: it may end at once. */
  start(): void {
    const endpoint = endpointOf(this.#welcome!, LISTEN_ON, parseEndpoint);
    if (endpoint === null || !isUsable(endpoint)) this.#end(AmpeStatus.InvalidAddress);
    else this.#socket = this.#listen(endpoint);
  }

  #listen(endpoint: Endpoint): ListenSocket {
    const { options, direct, referenced } = this.#engine;
    const request = { endpoint, direct, udsMode: options.udsMode, keepAliveMs: options.keepAliveMs };
    return new ListenSocket(request, referenced, {
      onListening: (port) => this.#onListening(endpoint, port),
      onFailed: (status, errorCode) => this.#end(status, errorCode),
      onAccepted: (socket) => this.#engine.accept(this.#group, socket),
    });
  }
  #onListening(endpoint: Endpoint, port: number): void {
    const frame = this.#respond(AmpeStatus.Success);
    if (frame === null) return;
    if (endpoint.transport === 'tcp' && endpoint.port !== port) {
      replaceField(frame, LISTEN_ON, `tcp|${endpoint.host}|${port}`);
    }
    this.#group.mailbox.addMail(frame);
  }

  post(frame: Frame): void {
    this.#engine.pool.give(frame); // ByeSignal: post() lets nothing else through
    if (!this.#ended) this.#end(AmpeStatus.ChannelClosed);
  }
  takeTail(): Frame {
    const answer = this.#answer;
    if (answer !== null) {
      this.#answer = null;
      return answer;
    }
    this.told = true;
    return this.#engine.lastWord(this);
  }
  takeFrame(): Frame {
    throw new Error('a listener receives no frames');
  }
  get ended(): boolean {
    return this.#ended;
  }
  unsentAnswers(): number {
    return 0;
  }
  hasFrames(): boolean {
    return false;
  }
  destroy(): Promise<void> {
    this.#ended = true;
    const closed = this.#socket?.close();
    if (this.#welcome !== null) this.#engine.pool.give(this.#welcome);
    if (this.#answer !== null) this.#engine.pool.give(this.#answer);
    this.#welcome = this.#answer = null;
    return closed ?? Promise.resolve();
  }
  setReferenced(referenced: boolean): void {
    this.#socket?.setReferenced(referenced);
  }

  #end(status: AmpeStatus, errorCode = ''): void {
    this.#ended = true;
    this.errorCode = errorCode;
    void this.#socket?.close();
    this.#answer = this.#respond(status);
    this.#group.mailbox.addTail(this);
  }
  /** The WelcomeRequest as its own answer; null when it was answered before. */
  #respond(status: AmpeStatus): Frame | null {
    const frame = this.#welcome;
    if (frame === null) return null;
    this.#welcome = null;
    frame.opCode = OpCode.WelcomeResponse;
    frame.flags |= ORIGIN_BIT;
    frame.status = status;
    frame.errorCode = this.errorCode;
    this.#engine.pool.uncount(frame);
    return frame;
  }
}

/** The first field of that name with another value; all others stay as they are. */
function replaceField(frame: Frame, name: string, value: string): void {
  const headers = Buffer.from(frame.headers());
  for (let at = 0, field; (field = nextField(headers, at, headers.length)) !== null; at = field.next) {
    if (field.name !== name) continue;
    const changed = Buffer.concat([headers.subarray(0, at), encodeField(name, value), headers.subarray(field.next)]);
    if (changed.length > MAX_TEXT_HEADERS_BYTES) return;
    frame.resizeHeaders(changed.length);
    frame.headersMemory.set(changed, frame.headersAt);
    return;
  }
}
