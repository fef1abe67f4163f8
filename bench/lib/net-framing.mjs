// net-framing.mjs: what one would write by hand on node:net, and write well: the yardstick of `npm run bench`.
// A frame is u32 length, u32 kind, body. Frames of a tick leave in one write; received ones are parsed where they lie,
// and only a frame that is spread over chunks is copied. No errors, no closing, no limits: an engine has to do more.
import net from 'node:net';
import { once } from 'node:events';

const HEAD_BYTES = 8;
const BATCH_BYTES = 128 * 1024;
const BREATHE_AFTER = 64; // batches the kernel took at once, after which the event loop gets a turn
const spare = [];

class FramedSocket {
  #socket;
  #onBody;
  #batch = null;
  #used = 0;
  #scheduled = false;
  #unread = null; // start of a frame whose rest has not arrived: { bytes, have }, bytes grows to the frame's size
  #drained = null;

  constructor(socket, onBody) {
    this.#socket = socket;
    this.#onBody = onBody;
    socket.on('data', (chunk) => this.#parse(chunk));
  }

  send(kind, body) {
    const { length } = body;
    if (this.#used + HEAD_BYTES + length > BATCH_BYTES) this.flush();
    this.#batch ??= spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES);
    this.#batch.writeUInt32LE(length, this.#used);
    this.#batch.writeUInt32LE(kind, this.#used + 4);
    this.#batch.set(body, this.#used + HEAD_BYTES);
    this.#used += HEAD_BYTES + length;
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** True when the kernel has taken everything. */
  flush() {
    if (this.#used > 0) {
      const batch = this.#batch;
      let taken = false;
      this.#socket.write(batch.subarray(0, this.#used), () => {
        if (!taken) spare.push(batch);
        this.#drained?.();
      });
      this.#used = 0;
      // A write that completed within the call leaves the batch free for the next one.
      taken = this.#socket.writableLength === 0;
      if (!taken) this.#batch = null;
    }
    return this.#socket.writableLength === 0;
  }
  async drained() {
    while (this.#socket.writableLength > 0) await new Promise((resolve) => (this.#drained = resolve));
    this.#drained = null;
  }

  #parse(chunk) {
    let at = this.#unread === null ? 0 : this.#complete(chunk);
    while (chunk.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + chunk.readUInt32LE(at);
      if (end > chunk.length) break;
      this.#onBody(chunk.readUInt32LE(at + 4), chunk.subarray(at + HEAD_BYTES, end));
      at = end;
    }
    if (at === chunk.length) return;
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    this.#unread = { bytes: head, have: 0 };
    this.#complete(chunk.subarray(at));
  }
  /** Goes on with the unread frame; returns how many bytes of the chunk it took. */
  #complete(chunk) {
    const unread = this.#unread;
    let at = 0;
    const take = () => {
      const took = chunk.copy(unread.bytes, unread.have, at);
      unread.have += took;
      at += took;
      return unread.have === unread.bytes.length;
    };
    if (unread.have < HEAD_BYTES) {
      if (!take()) return at;
      const whole = Buffer.allocUnsafe(HEAD_BYTES + unread.bytes.readUInt32LE(0));
      unread.bytes.copy(whole);
      unread.bytes = whole;
    }
    if (!take()) return at;
    this.#unread = null;
    this.#onBody(unread.bytes.readUInt32LE(4), unread.bytes.subarray(HEAD_BYTES));
    return at;
  }
}

const ONE_WAY = 0;
const REQUEST = 1;
const RESPONSE = 2;
const place = ({ transport, addr, host, port }) => (transport === 'uds' ? { path: addr } : { host, port });

/** Resolves when listening. */
export async function serve(ctx) {
  const server = net.createServer({ noDelay: true }, (socket) => {
    const framed = new FramedSocket(socket, (kind, body) => {
      if (kind === ONE_WAY) return ctx.onMessage(body);
      ctx.onRequest(body);
      framed.send(RESPONSE, body);
    });
    socket.on('error', () => {}); // the client's process ends without a goodbye
  });
  server.listen({ ...place(ctx), backlog: 1024 });
  await once(server, 'listening');
}

export async function connect(ctx) {
  const socket = net.connect({ ...place(ctx), noDelay: true });
  await once(socket, 'connect');
  const framed = new FramedSocket(socket, (_kind, body) => ctx.onReply(connection, body));
  const connection = {
    request: (body) => framed.send(REQUEST, body),
    async flood(source) {
      let batches = 0;
      let room = 0;
      while (source.more()) {
        if (room < HEAD_BYTES + source.size) {
          if (!framed.flush()) await framed.drained();
          else if (++batches % BREATHE_AFTER === 0) await new Promise(setImmediate);
          room = BATCH_BYTES;
        }
        framed.send(ONE_WAY, source.reused());
        room -= HEAD_BYTES + source.size;
      }
      framed.flush();
      await framed.drained();
    },
  };
  return connection;
}
