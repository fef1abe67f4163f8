// client.mjs: the connecting side: any number of connections, all on one engine and, unless the caller asks for more groups
// (`ctx.groups`, connections take turns by `ctx.index`), on one receive loop.
// A connection has flood(source), request(body), and hands replies to `ctx.onReply(connection, body)`.
import { AmpeStatus, OpCode, opCodeName, statusName } from 'tofu-ampe';
import { clientAddress, receiveAll, startEngine } from './engine.mjs';
import { floodChannel } from './flood.mjs';

let engine = null;
const groups = [];
const connections = []; // by channel number

class Connection {
  reuse = true; // request() copies: the caller may use its buffer again

  constructor(group, channelNumber, ctx) {
    this.ampe = engine.ampe;
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

  /** Sends until the source is dry. */
  flood(source) {
    return floodChannel(this.ampe, this.group, this.channelNumber, source);
  }
}

function receive(message) {
  const { ampe } = engine;
  const connection = connections[message.channelNumber];
  const { opCode } = message;
  if (opCode === OpCode.HelloResponse) connection.settle(message);
  else if (!message.isFromEngine && opCode === OpCode.Response) connection.onReply(connection, message.body.bytes());
  else if (message.status !== AmpeStatus.PoolEmpty && message.status !== AmpeStatus.ChannelClosed) {
    throw new Error(`unexpected ${opCodeName(opCode)} with status ${statusName(message.status)}`);
  }
  ampe.put(message);
}

/** The group of a connection; each has a receive loop of its own. */
function groupFor(index, count) {
  const at = index % count;
  if (groups[at] === undefined) {
    groups[at] = at === 0 ? engine.group : engine.ampe.create();
    receiveAll(groups[at], receive).catch((error) => {
      setImmediate(() => {
        throw error; // ends the process: nothing measured after this would mean anything
      });
    });
  }
  return groups[at];
}

/** Resolves with the connection when the server has answered its Hello. */
export function connectWith(backend, ctx) {
  engine ??= startEngine(backend);
  const group = groupFor(ctx.index ?? 0, ctx.groups ?? 1);
  const hello = engine.ampe.get();
  clientAddress(ctx).format(hello);
  const { channelNumber } = group.post(hello);
  const connection = new Connection(group, channelNumber, ctx);
  connections[channelNumber] = connection;
  return connection.opened;
}
