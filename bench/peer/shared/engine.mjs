// engine.mjs: one engine and one group per process, shared by all its connections, and the fast form of receiving.
// It knows the public API only; who measures, and how, is not its business.
import { Reactor, TcpClientAddress, TcpServerAddress, UdsClientAddress, UdsServerAddress } from 'tofu-ampe';

/** `ctx` names a place: { transport: 'uds' | 'tcp', addr, host, port }. */
export const serverAddress = (ctx) =>
  ctx.transport === 'uds' ? new UdsServerAddress(ctx.addr) : new TcpServerAddress(ctx.host, ctx.port);
export const clientAddress = (ctx) =>
  ctx.transport === 'uds' ? new UdsClientAddress(ctx.addr) : new TcpClientAddress(ctx.host, ctx.port);

let ampe = null;

/** @throws when the backend is not there: figures of another engine under its name would be worse than none */
export function startEngine(backend) {
  const pool = process.env.TOFU_BENCH_POOL; // for measuring which size is a good default
  const reactor = Reactor.create({ backend, ...(pool ? { maxPoolMsgs: Number(pool) } : {}) });
  ampe = reactor.ampe();
  return { ampe, group: ampe.create() };
}

/** The counters of this process's engine. */
export const stats = () => ampe.stats();

/** Hands every message to `handle`, which posts it or puts it back. One promise per batch, not per message. */
export async function receiveAll(group, handle) {
  for (;;) {
    let message = await group.waitReceive();
    while (message !== null) {
      handle(message);
      message = group.tryReceive();
    }
  }
}

/** The same as one would write it at first, and as the examples do: a promise for each message. */
export async function receiveByLoop(group, handle) {
  for await (const message of group) handle(message);
}
