// client.mjs: the connecting side: any number of connections, all on one engine and one receive loop.
// A connection has flood(source), request(body), and hands replies to `ctx.onReply(connection, body)`.
import { AmpeStatus, OpCode, opCodeName, statusName } from 'tofu-ampe';
import { clientAddress, receiveAll, startEngine } from './engine.mjs';

let engine = null;
const connections = new Map(); // by channel number

class Connection {
  reuse = true; // request() copies: the caller may use its buffer again

  constructor({ ampe, group }, channelNumber, ctx) {
    this.ampe = ampe;
    this.group = group;
    this.channelNumber = channelNumber;
    this.onReply = ctx.onReply;
    this.opened = new Promise((resolve, reject) => {
      this.settle = (message) => {
        if (message.status === AmpeStatus.Success) resolve(this);
        else reject(new Error(`no connection: ${statusName(message.status)}`));
      };
    });
  }

  request(body) {
    const message = this.ampe.get();
    message.opCode = OpCode.Request;
    message.channelNumber = this.channelNumber;
    message.body.set(body);
    this.group.post(message);
  }

  /** Sends until the source is dry. acquire() is what slows it down to the speed of its peer. */
  async flood(source) {
    while (this.#floodWhileFree(source)) this.#floodOne(await this.ampe.acquire(), source);
  }
  /** Plain code between the awaits, which the compiler optimises better. True: no message was free for the next one. */
  #floodWhileFree(source) {
    while (source.more()) {
      const message = this.ampe.get('poolOnly');
      if (message === null) return true;
      this.#floodOne(message, source);
    }
    return false;
  }
  #floodOne(message, source) {
    message.opCode = OpCode.Signal;
    message.channelNumber = this.channelNumber;
    if (typeof source.stamp === 'function') source.stamp(message.body.reserve(source.size));
    else message.body.set(source.reused());
    this.group.post(message);
  }
}

function receive(message) {
  const { ampe } = engine;
  const connection = connections.get(message.channelNumber);
  const { opCode } = message;
  if (opCode === OpCode.HelloResponse) connection.settle(message);
  else if (!message.isFromEngine && opCode === OpCode.Response) connection.onReply(connection, message.body.bytes());
  else if (message.status !== AmpeStatus.PoolEmpty && message.status !== AmpeStatus.ChannelClosed) {
    throw new Error(`unexpected ${opCodeName(opCode)} with status ${statusName(message.status)}`);
  }
  ampe.put(message);
}

/** Resolves with the connection when the server has answered its Hello. */
export function connectWith(backend, ctx) {
  if (engine === null) {
    engine = startEngine(backend);
    receiveAll(engine.group, receive).catch((error) => {
      setImmediate(() => {
        throw error; // ends the process: nothing measured after this would mean anything
      });
    });
  }
  const hello = engine.ampe.get();
  clientAddress(ctx).format(hello);
  const { channelNumber } = engine.group.post(hello);
  const connection = new Connection(engine, channelNumber, ctx);
  connections.set(channelNumber, connection);
  return connection.opened;
}
