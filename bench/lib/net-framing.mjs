// net-framing.mjs: what one would write by hand on node:net, and write well: the yardstick of all comparisons.
// A frame is u32 length, u32 kind, body. Small bodies are copied side by side and leave in one write, at the end of the tick
// or of the chunk that is being answered; large ones are written from where they lie. Received frames are parsed in place, and
// only one that is spread over chunks is copied. No errors, no closing, no limits: an engine has to do more.
import net from 'node:net';
import { once } from 'node:events';

const HEAD_BYTES = 8;
const BATCH_BYTES = 128 * 1024;
const COPY_MOST_BYTES = 32 * 1024;
const READ_BYTES = 256 * 1024;
const BREATHE_AFTER = 16_384; // messages the kernel took at once, after which the event loop gets a turn
const spare = [];

export class FramedSocket {
  #socket;
  #onBody;
  #batch = null;
  #used = 0;
  #lent = []; // batches the kernel has not taken
  #scheduled = false;
  #parsing = false;
  #corked = false;
  #head = Buffer.allocUnsafeSlow(HEAD_BYTES); // of a frame whose rest has not arrived
  #headBytes = 0;
  #body = null;
  #bodyBytes = 0;
  #onDrained = null;

  constructor(socket, onBody) {
    this.#socket = socket;
    this.#onBody = onBody;
  }

  /** False when the kernel has not taken what came before: wait for whenDrained. A large body belongs to the socket then. */
  send(kind, body) {
    const { length } = body;
    if (length > COPY_MOST_BYTES) return this.#sendInPlace(kind, body);
    const end = this.#used + HEAD_BYTES + length;
    if (end > BATCH_BYTES) {
      this.flush();
      return this.send(kind, body);
    }
    if (this.#batch === null) this.#batch = spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES);
    this.#batch.writeInt32LE(length, this.#used);
    this.#batch.writeInt32LE(kind, this.#used + 4);
    this.#batch.set(body, this.#used + HEAD_BYTES);
    this.#used = end;
    this.#schedule();
    return this.#socket.writableLength === 0;
  }
  flush() {
    const socket = this.#socket;
    if (this.#corked) {
      this.#corked = false;
      socket.uncork();
    }
    if (this.#used === 0) return;
    const batch = this.#batch;
    socket.write(this.#used === BATCH_BYTES ? batch : batch.subarray(0, this.#used), this.#onWritten);
    this.#used = 0;
    this.#batch = null;
    // Taken at once: the next connection gets it, while it is in the cache.
    (socket.writableLength === 0 ? spare : this.#lent).push(batch);
  }
  /** Calls back once, when the kernel has everything; at once if it has. */
  whenDrained(callback) {
    if (this.#socket.writableLength === 0) callback();
    else this.#onDrained = callback;
  }
  /** What the socket has received; `chunk` may be used again by its owner when this returns. */
  onChunk(chunk) {
    this.#parsing = true;
    const end = chunk.length;
    let at = this.#headBytes === 0 ? 0 : this.#complete(chunk);
    while (end - at >= HEAD_BYTES) {
      const next = at + HEAD_BYTES + chunk.readUInt32LE(at);
      if (next > end) break;
      this.#onBody(chunk.readInt32LE(at + 4), chunk.subarray(at + HEAD_BYTES, next));
      at = next;
    }
    if (at < end) this.#complete(chunk.subarray(at));
    this.#parsing = false;
    this.flush();
  }

  #sendInPlace(kind, body) {
    const socket = this.#socket;
    this.flush();
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head.writeInt32LE(body.length, 0);
    head.writeInt32LE(kind, 4);
    this.#corked = true; // head and body are one gathering write
    socket.cork();
    socket.write(head);
    socket.write(body, this.#onWritten);
    this.#schedule();
    return socket.writableLength <= HEAD_BYTES + body.length; // what is corked is not refused yet
  }
  #schedule() {
    if (this.#parsing || this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(this.#flushNow);
  }
  #flushNow = () => {
    this.#scheduled = false;
    this.flush();
  };
  #onWritten = () => {
    if (this.#socket.writableLength !== 0) return;
    while (this.#lent.length > 0) spare.push(this.#lent.pop());
    const callback = this.#onDrained;
    if (callback === null) return;
    this.#onDrained = null;
    callback();
  };
  /** Goes on with the frame that has begun; returns how many bytes of the chunk it took. */
  #complete(chunk) {
    let at = 0;
    if (this.#headBytes < HEAD_BYTES) {
      at = chunk.copy(this.#head, this.#headBytes, 0, HEAD_BYTES - this.#headBytes);
      this.#headBytes += at;
      if (this.#headBytes < HEAD_BYTES) return at;
      this.#body = Buffer.allocUnsafe(this.#head.readUInt32LE(0));
      this.#bodyBytes = 0;
    }
    const took = chunk.copy(this.#body, this.#bodyBytes, at);
    this.#bodyBytes += took;
    const body = this.#body;
    if (this.#bodyBytes < body.length) return at + took;
    this.#body = null;
    this.#headBytes = 0;
    this.#onBody(this.#head.readInt32LE(4), body);
    return at + took;
  }
}

const ONE_WAY = 0;
const REQUEST = 1;
const RESPONSE = 2;
const placeOf = ({ transport, addr, host, port }) => (transport === 'uds' ? { path: addr } : { host, port });

/** Resolves when listening. */
export async function serve(ctx) {
  const { onMessage, onRequest } = ctx;
  const server = net.createServer({ noDelay: true }, (socket) => {
    const framed = new FramedSocket(socket, (kind, body) => {
      if (kind === ONE_WAY) return onMessage(body);
      onRequest(body);
      framed.send(RESPONSE, body);
    });
    socket.on('data', (chunk) => framed.onChunk(chunk));
    socket.on('error', () => {}); // the client's process ends without a goodbye
  });
  server.listen({ ...placeOf(ctx), backlog: 4096 });
  await once(server, 'listening');
}

const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** Answers are read into one buffer for all connections: node makes one for each read otherwise. */
export async function connect(ctx) {
  const onread = {
    buffer: readBuffer,
    callback: (bytes, buffer) => {
      framed.onChunk(buffer.subarray(0, bytes));
      return true;
    },
  };
  const socket = net.connect({ ...placeOf(ctx), noDelay: true, ...(ctx.onReply ? { onread } : {}) });
  await once(socket, 'connect');
  const framed = new FramedSocket(socket, (_kind, body) => ctx.onReply(connection, body));
  const connection = {
    reuse: true, // request() copies
    request: (body) => framed.send(REQUEST, body.length > COPY_MOST_BYTES ? Buffer.from(body) : body),
    flood: (source) => new Promise((resolve) => flood(framed, source, resolve)),
  };
  return connection;
}

function flood(framed, source, done) {
  let sent = 0;
  const pump = () => {
    while (source.more()) {
      const body = source.size > COPY_MOST_BYTES ? source.fresh() : source.reused();
      if (!framed.send(ONE_WAY, body)) return framed.whenDrained(pump);
      if (++sent % BREATHE_AFTER !== 0) continue;
      framed.flush();
      return framed.whenDrained(() => setImmediate(pump));
    }
    framed.flush();
    framed.whenDrained(done);
  };
  pump();
}
