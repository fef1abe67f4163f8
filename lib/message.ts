// message.ts: what an application holds: a thin view of one frame, and the right to it.
// A Message is made when ownership begins and dies when it ends (post, put, dispose): its frame is taken from it, and
// every access through it, its headers, its body or an iterator over them throws null_message. It never lives again, so
// a kept reference cannot reach a frame that is in use by somebody else.
// Thread: that of its pool.
import { LAST_CHANNEL, MAX_BODY_BYTES, MAX_TEXT_HEADERS_BYTES, MORE_BIT, ORIGIN_BIT } from './protocol/constants';
import { AmpeError, explain, invalidArgument } from './protocol/ampe-error';
import { copyBytes } from './protocol/copy-bytes';
import { messageIdOf, snapshotOf, type BinaryHeader } from './protocol/header';
import { isOpCode, opCodeName, Origin, type OpCode } from './protocol/op-code';
import { AmpeStatus, rawToStatus, statusName } from './protocol/status';
import { encodeField, nextField } from './protocol/text-headers-codec';
import type { Frame } from './engine/frame';
import type { Pool } from './engine/pool';
import { systemError } from './engine/system-error';

const KEY = Symbol('internal');
const MAX_ID = (1n << 64n) - 1n;

function nullMessage(): AmpeError {
  return new AmpeError(AmpeStatus.NullMessage, 'null_message: the message was posted, put or disposed');
}

/**
 * One message: a binary header, text headers and a body; it carries data and is a command at the same time.
 * Get one from {@link Ampe.get}, {@link Ampe.acquire} or by receiving. Post it, put it back, or dispose it (`using`):
 * after that it is no longer yours, and every access throws `null_message`.
 * @see docs/PROTOCOL.md section 1
 */
export class Message implements Disposable {
  /** @internal */ _frame: Frame | null;
  /** @internal */ readonly _pool: Pool;
  /** @internal */ _textHeaders: TextHeaders | null = null;
  /** @internal */ _body: Body | null = null;

  private constructor(key: symbol, pool: Pool, frame: Frame) {
    if (key !== KEY) throw new TypeError('Illegal constructor: get messages from an Ampe');
    this._pool = pool;
    this._frame = frame;
  }
  /** @internal */
  static _of(pool: Pool, frame: Frame): Message {
    if (pool.debugging) pool.note(frame);
    return new Message(KEY, pool, frame);
  }
  /** @internal */
  _live(): Frame {
    const frame = this._frame;
    if (frame === null) throw nullMessage();
    return frame;
  }
  /** Takes the frame: the message is dead from now on. @internal */
  _take(): Frame {
    const frame = this._live();
    this._frame = null;
    if (this._pool.debugging) this._pool.unnote(frame);
    return frame;
  }

  /**
   * What the message is: an opcode of the protocol.
   * @throws AmpeError `null_message`; on setting `invalid_op_code` for a number that is no opcode; TypeError for another type
   * @see docs/PROTOCOL.md section 1
   */
  get opCode(): OpCode {
    return this._live().opCode;
  }
  set opCode(value: OpCode) {
    const frame = this._live();
    if (!isOpCode(value)) throw badOpCode(value);
    frame.opCode = value;
  }
  /**
   * The channel: this side's number, 1 to 65534; 0 on a Hello or Welcome request, which gets its number by post().
   * @throws AmpeError `null_message`; on setting `invalid_channel_number` outside 0 to 65534; TypeError for another type
   */
  get channelNumber(): number {
    return this._live().channel;
  }
  set channelNumber(value: number) {
    const frame = this._live();
    if (!Number.isInteger(value) || value < 0 || value > LAST_CHANNEL) throw badChannelNumber(value);
    frame.generation = 0;
    frame.channel = value;
  }
  /**
   * The id that ties messages of one conversation together, an unsigned 64-bit integer. 0: post() gives it a new one.
   * @throws AmpeError `null_message`; on setting `invalid_message_id` for anything that is no u64; TypeError for another type
   */
  get messageId(): bigint {
    const frame = this._live();
    return messageIdOf(frame.idHigh, frame.idLow);
  }
  set messageId(value: bigint | number) {
    const frame = this._live();
    if (typeof value !== 'bigint' && typeof value !== 'number') {
      throw invalidArgument('messageId', 'a bigint or a number', value);
    }
    if (typeof value === 'number' && !Number.isSafeInteger(value)) {
      throw new AmpeError(AmpeStatus.InvalidMessageId, `invalid_message_id: ${value} is no safe integer; use a bigint`);
    }
    const id = BigInt(value);
    if (id < 0n || id > MAX_ID)
      throw new AmpeError(AmpeStatus.InvalidMessageId, `invalid_message_id: ${id} is not 0 to 2^64 - 1`);
    frame.idHigh = Number(id >> 32n) | 0;
    frame.idLow = Number(id & 0xffffffffn) | 0;
  }
  /**
   * Whether more messages of the same id follow. Only on Request, Response and Signal; post() refuses it elsewhere.
   * @throws AmpeError `null_message`; TypeError for another type
   */
  get more(): boolean {
    return (this._live().flags & MORE_BIT) !== 0;
  }
  set more(value: boolean) {
    const frame = this._live();
    if (typeof value !== 'boolean') throw invalidArgument('more', 'a boolean', value);
    frame.flags = value ? frame.flags | MORE_BIT : frame.flags & ~MORE_BIT;
  }
  /**
   * Who made it: the application (the peer's, or this one by updateReceiver) or the local engine.
   * @throws AmpeError `null_message`
   */
  get origin(): Origin {
    return (this._live().flags & ORIGIN_BIT) !== 0 ? 1 : 0;
  }
  /** What the engine says with it; success (0) on everything a peer sent. @throws AmpeError `null_message` */
  get status(): AmpeStatus {
    return rawToStatus(this._live().status);
  }
  /**
   * Whether the local engine made it: a status, or a message that comes back. Ask this first.
   * @throws AmpeError `null_message`
   */
  get isFromEngine(): boolean {
    return this.origin === 1;
  }
  /** Whether an application made it. @throws AmpeError `null_message` */
  get isFromApplication(): boolean {
    return this.origin === 0;
  }
  /**
   * What its status says, as an error ready to be thrown: with channel number and message id, and where the system refused
   * something an Error as `cause`, whose `code` is the errno name (`ECONNREFUSED`, `EADDRINUSE`, `EACCES`, `ENOTFOUND`, …).
   * @returns null for {@link AmpeStatus.Success}
   * @throws AmpeError `null_message`
   * @see docs/PROTOCOL.md section 2
   */
  toError(): AmpeError | null {
    const frame = this._live();
    const status = rawToStatus(frame.status);
    if (status === AmpeStatus.Success) return null;
    const { channelNumber, messageId } = snapshotOf(frame);
    const details = { channelNumber, messageId };
    const code = this.isFromEngine ? frame.errorCode : '';
    if (code === '') return new AmpeError(status, undefined, details);
    return new AmpeError(status, `${explain(status)} (${code})`, { ...details, cause: systemError(code) });
  }
  /** The same as {@link more}. @throws AmpeError `null_message` */
  get hasMore(): boolean {
    return this.more;
  }
  /** Whether the message is still yours. The one property that never throws; all others and all methods do when it is not. */
  get owned(): boolean {
    return this._frame !== null;
  }
  /** Names and values. @throws AmpeError `null_message` */
  get textHeaders(): TextHeaders {
    this._live();
    return (this._textHeaders ??= TextHeaders._of(this));
  }
  /** The payload. @throws AmpeError `null_message` */
  get body(): Body {
    this._live();
    return (this._body ??= Body._of(this));
  }
  /** A snapshot of the binary header, good for ever. @throws AmpeError `null_message` */
  binaryHeader(): BinaryHeader {
    return snapshotOf(this._live());
  }
  /**
   * A copy with everything the message has, from the same pool (past its bound if need be).
   * @throws AmpeError `null_message`
   */
  clone(): Message {
    const from = this._live();
    const to = this._pool.takeAlways();
    to.copyHeader(from);
    to.resizeHeaders(from.headersLength);
    to.headersMemory.set(from.headers(), to.headersAt);
    to.resizeBody(from.bodyLength);
    to.bodyMemory.set(from.body(), to.bodyAt);
    return Message._of(this._pool, to);
  }
  /**
   * Empties it: opcode Request, channel, id and status 0, no text headers, no body.
   * @throws AmpeError `null_message`
   */
  reset(): void {
    this._live().clear();
  }
  /** Puts it back into its own pool if it is still owned; otherwise does nothing. */
  [Symbol.dispose](): void {
    if (this._frame !== null) this._pool.give(this._take());
  }
  /**
   * What a log should have of it: the binary header with names for numbers, and how long its parts are. Not what they say: a
   * program decides by itself which data it writes down. Never throws.
   */
  toJSON(): Record<string, unknown> {
    const frame = this._frame;
    if (frame === null) return { owned: false };
    const { opCode, status, messageId, channelNumber, origin, more } = snapshotOf(frame);
    return {
      channelNumber,
      opCode: opCodeName(opCode),
      origin: origin === Origin.engine ? 'engine' : 'application',
      more,
      status: statusName(status),
      messageId: String(messageId),
      textHeadersBytes: frame.headersLength,
      bodyBytes: frame.bodyLength,
    };
  }
  /** A line for a person: opcode, channel, id and sizes. Never throws. */
  toString(): string {
    if (this._frame === null) return 'Message (not owned)';
    const { channelNumber, messageId, status, more } = this;
    const sizes = `${this._frame.headersLength}+${this._frame.bodyLength} bytes`;
    const marks = `${this.isFromEngine ? ` from engine: ${statusName(status)}` : ''}${more ? ' more' : ''}`;
    return `Message ${opCodeName(this.opCode)} channel ${channelNumber} id ${messageId} ${sizes}${marks}`;
  }
  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** The text headers of one message: names and values in order; names may repeat and are case-sensitive. */
export class TextHeaders implements Iterable<[name: string, value: string]> {
  readonly #message: Message;
  private constructor(key: symbol, message: Message) {
    if (key !== KEY) throw new TypeError('Illegal constructor: use message.textHeaders');
    this.#message = message;
  }
  /** @internal */
  static _of(message: Message): TextHeaders {
    return new TextHeaders(KEY, message);
  }
  /**
   * Adds a field behind the others. The name is trimmed of blanks and line ends, the value is kept as it is.
   * @throws AmpeError `invalid_message` with code ERR_AMPE_BAD_NAME (empty, or with a colon, CR or LF) or
   *   ERR_AMPE_BAD_VALUE (empty, or with CR or LF); `invalid_headers_len` past 65535 bytes; nothing is changed then
   * @see docs/PROTOCOL.md section 1
   */
  append(name: string, value: string): this {
    const frame = this.#message._live();
    const field = encodeField(name, value);
    const length = frame.headersLength;
    checkHeadersLength(length + field.length);
    frame.resizeHeaders(length + field.length);
    frame.headersMemory.set(field, frame.headersAt + length);
    return this;
  }
  /** The first value of that name. */
  get(name: string): string | undefined {
    checkName(name);
    for (const [key, value] of this) if (key === name) return value;
    return undefined;
  }
  /** All values of that name, in order. */
  getAll(name: string): string[] {
    checkName(name);
    const values: string[] = [];
    for (const [key, value] of this) if (key === name) values.push(value);
    return values;
  }
  /** Whether there is a value of that name. */
  has(name: string): boolean {
    return this.get(name) !== undefined;
  }
  /** Length in bytes, 0 to 65535. */
  get byteLength(): number {
    return this.#message._live().headersLength;
  }
  /** The bytes as they travel: a view, valid while the message is owned and its text headers do not grow. */
  bytes(): Buffer {
    return this.#message._live().headers();
  }
  /**
   * Replaces all, unchecked but for the length.
   * @throws AmpeError `invalid_headers_len` past 65535 bytes; TypeError if it is no Uint8Array
   */
  setBytes(raw: Uint8Array): this {
    const frame = this.#message._live();
    const bytes = bytesOf(raw, 'raw', 'a Uint8Array');
    checkHeadersLength(bytes.length);
    frame.resizeHeaders(bytes.length);
    frame.headersMemory.set(bytes, frame.headersAt);
    return this;
  }
  /** Removes all. */
  reset(): this {
    this.#message._live().resizeHeaders(0);
    return this;
  }
  /** Pairs of name and value; reading stops at a field without a name. */
  [Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    const message = this.#message;
    message._live();
    let offset = 0;
    return {
      next() {
        const frame = message._live(); // a generator would end with its first throw; this one throws each time
        const end = frame.headersAt + frame.headersLength;
        const field = nextField(frame.headersMemory, Math.min(frame.headersAt + offset, end), end);
        if (field === null) return { done: true, value: undefined };
        offset = field.next - frame.headersAt;
        return { done: false, value: [field.name, field.value] };
      },
      [Symbol.iterator]() {
        return this;
      },
    };
  }
}

/** The body of one message: up to 65535 bytes. */
export class Body {
  readonly #message: Message;
  private constructor(key: symbol, message: Message) {
    if (key !== KEY) throw new TypeError('Illegal constructor: use message.body');
    this.#message = message;
  }
  /** @internal */
  static _of(message: Message): Body {
    return new Body(KEY, message);
  }
  /**
   * Adds bytes, or a string as UTF-8.
   * @throws AmpeError `invalid_body_len` past 65535 bytes, nothing is changed then; TypeError for another type
   */
  append(data: string | Uint8Array): this {
    this.#write(data, this.#message._live().bodyLength);
    return this;
  }
  /** Replaces the body. @throws as {@link append} */
  set(data: string | Uint8Array): this {
    this.#message._live();
    this.#write(data, 0);
    return this;
  }
  /**
   * Sets the length and returns a writable view, to encode in place. What the view holds at first is unspecified.
   * @param byteLength 0 to 65535
   * @throws AmpeError `invalid_body_len` out of range; TypeError if it is no number
   */
  reserve(byteLength: number): Buffer {
    const frame = this.#message._live();
    if (!Number.isInteger(byteLength)) throw badReserve(byteLength);
    checkBodyLength(byteLength);
    frame.resizeBody(byteLength);
    return frame.body();
  }
  /**
   * The bytes: a view of the pool's memory, valid while the message is owned and its body does not grow.
   * Copy before keeping it or sending it to a worker; never transfer it.
   */
  bytes(): Buffer {
    return this.#message._live().body();
  }
  /** The body as UTF-8 text; invalid bytes read as U+FFFD. */
  toString(): string {
    const frame = this.#message._live();
    return frame.bodyMemory.toString('utf8', frame.bodyAt, frame.bodyAt + frame.bodyLength);
  }
  /** The body parsed as JSON. @throws SyntaxError when it is none */
  json<T = unknown>(): T {
    return JSON.parse(this.toString()) as T;
  }
  /** Length in bytes, 0 to 65535. */
  get byteLength(): number {
    return this.#message._live().bodyLength;
  }
  /** Empties the body. */
  reset(): this {
    this.#message._live().resizeBody(0);
    return this;
  }
  #write(data: string | Uint8Array, at: number): void {
    const frame = this.#message._live();
    if (typeof data === 'string') {
      writeText(frame, data, at);
      return;
    }
    const bytes = bytesOf(data, 'data', 'a string or a Uint8Array');
    checkBodyLength(at + bytes.length);
    frame.resizeBody(at + bytes.length);
    copyBytes(frame.bodyMemory, bytes, frame.bodyAt + at);
  }
}

function writeText(frame: Frame, text: string, at: number): void {
  const length = Buffer.byteLength(text);
  checkBodyLength(at + length);
  frame.resizeBody(at + length);
  frame.bodyMemory.write(text, frame.bodyAt + at, length, 'utf8');
}
function badOpCode(value: unknown): Error {
  if (typeof value !== 'number') return invalidArgument('opCode', 'a number', value);
  return new AmpeError(AmpeStatus.InvalidOpCode, `invalid_op_code: ${value} is none, see OpCode`);
}
function badChannelNumber(value: unknown): Error {
  if (typeof value !== 'number') return invalidArgument('channelNumber', 'a number', value);
  const told = `invalid_channel_number: ${value} is not 0 to ${LAST_CHANNEL}`;
  return new AmpeError(AmpeStatus.InvalidChannelNumber, told);
}
function badReserve(byteLength: unknown): Error {
  if (typeof byteLength !== 'number') return invalidArgument('byteLength', 'a number', byteLength);
  return badBodyLength(byteLength);
}
function badBodyLength(length: number): AmpeError {
  return new AmpeError(AmpeStatus.InvalidBodyLen, `invalid_body_len: ${length} of at most ${MAX_BODY_BYTES}`);
}
function checkName(name: unknown): void {
  if (typeof name !== 'string') throw invalidArgument('name', 'a string', name);
}
function checkHeadersLength(length: number): void {
  if (length > MAX_TEXT_HEADERS_BYTES) {
    throw new AmpeError(
      AmpeStatus.InvalidHeadersLen,
      `invalid_headers_len: ${length} of at most ${MAX_TEXT_HEADERS_BYTES}`,
    );
  }
}
function checkBodyLength(length: number): void {
  if (!(length >= 0 && length <= MAX_BODY_BYTES)) throw badBodyLength(length);
}
/** Any Uint8Array; those of another realm are no instances of ours. */
function bytesOf(value: unknown, name: string, expected: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Uint8Array]') {
    return value as Uint8Array;
  }
  throw invalidArgument(name, expected, value);
}
