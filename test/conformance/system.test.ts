// Protocol section 4: what an engine asks of the system: names, several addresses, socket options, few writes.
// Names with several addresses exist on no machine by default, so the resolver is replaced for names under .test. For an
// engine inside node's own net that is done here, by mocks; for one that calls libc the same scenario runs in a child
// process with a shim in front of libc, which also reads the sockets' options back from the kernel.

import * as net from 'node:net';
import { rule } from './support';
import { RULES, type RuleId, type RuleRow } from './rules';
import { scenarios, type ScenarioName } from './system/scenarios';
import { runInChild, type Network } from './system/shim';
import type { SocketOptions, System } from './system/system';

type Callback = (error: Error | null, found: { address: string; family: number }[]) => void;
const mockNames = new Map<string, (callback: Callback) => void>();
const mockWrites = { count: 0 };

jest.mock('node:dns', () => {
  const actual = jest.requireActual<typeof import('node:dns')>('node:dns');
  const lookup = (host: string, options: object, callback: never): void => {
    const answer = mockNames.get(host);
    if (answer === undefined) actual.lookup(host, options, callback);
    else answer(callback);
  };
  return { ...actual, lookup };
});
jest.mock('node:fs', () => {
  const actual = jest.requireActual<typeof import('node:fs')>('node:fs');
  const counted =
    (write: (...all: never[]) => number) =>
    (...all: never[]): number => {
      mockWrites.count++;
      return write(...all);
    };
  return { ...actual, writeSync: counted(actual.writeSync as never), writevSync: counted(actual.writevSync as never) };
});

/** The calls that an engine makes into node, recorded and answered in this process. */
class NodeSystem implements System {
  private readonly delays = jest.spyOn(net.Socket.prototype, 'setNoDelay');
  private readonly probes = jest.spyOn(net.Socket.prototype, 'setKeepAlive');
  private readonly streamed = jest.spyOn(net.Socket.prototype, '_write' as never);

  name(host: string, addresses: string[]): void {
    mockNames.set(host, (callback) => callback(null, addressesOf(addresses)));
  }

  hold(host: string): (addresses: string[]) => Promise<void> {
    const waiting: Callback[] = [];
    mockNames.set(host, (callback) => waiting.push(callback));
    return async (addresses) => {
      expect(waiting).not.toEqual([]);
      for (const callback of waiting.splice(0)) callback(null, addressesOf(addresses));
    };
  }

  async sockets(): Promise<SocketOptions[]> {
    return this.delays.mock.contexts.map((context, i) => {
      const socket = context as net.Socket;
      const keepAlive = this.probes.mock.calls.filter((_, call) => this.probes.mock.contexts[call] === socket);
      return {
        localPort: socket.localPort!,
        remotePort: socket.remotePort!,
        noDelay: this.delays.mock.calls[i][0] === true,
        keepAliveMs: keepAlive.length === 1 && keepAlive[0][0] === true ? keepAlive[0][1]! : 0,
      };
    });
  }

  async writes(): Promise<number> {
    return mockWrites.count + this.streamed.mock.calls.length;
  }

  end(): void {
    for (const spy of [this.delays, this.probes, this.streamed]) spy.mockRestore();
    mockNames.clear();
  }
}

function addressesOf(addresses: string[]): { address: string; family: number }[] {
  return addresses.map((address) => ({ address, family: net.isIP(address) }));
}

function systemRule(id: RuleId, title: string, scenario: ScenarioName, network: Network = 'shared'): void {
  const { cells } = RULES.find((row: RuleRow) => row.id === id)!;
  rule(id, title, async (cell) => {
    if (cell.name.engine.backend === 'native') return runInChild(cell.name, cells, scenario, network);
    const system = new NodeSystem();
    cell.atEnd(() => system.end());
    return scenarios[scenario](cell, system);
  });
}

systemRule('no-delay', 'on accepted and dialled connections', 'noDelay');
systemRule('keep-alive', 'on accepted and dialled connections, with the time of the options', 'keepAlive');
systemRule('writes-leave-together', 'a thousand frames of one turn in a handful of writes', 'thousandFrames');

systemRule(
  'name-resolution-elsewhere',
  'post returns at once, other channels work while a name is being resolved',
  'otherChannelsWorkMeanwhile',
);
systemRule(
  'name-resolution-elsewhere',
  'the deadline covers it, and an answer that comes later does nothing',
  'deadlineCoversResolution',
);
systemRule('name-resolution-elsewhere', 'ByeSignal does not wait for it', 'abortDoesNotWait');
systemRule('name-resolution-elsewhere', 'a listener can be given a name', 'listenerOnName');
systemRule('destroy-engine-resolution', 'a resolver that answers only afterwards', 'destroyDoesNotWait');

systemRule('all-addresses-tried', 'refused ones are passed over', 'refusedPassedOver');
systemRule('all-addresses-tried', 'one that hangs leaves time for the others', 'oneThatHangs');
systemRule('all-addresses-tried', 'none left is connect_failed, none at all invalid_address', 'noneLeft');

systemRule('silent-peer', 'an idle one', 'idlePeerFallsSilent', 'own');
systemRule('silent-peer', 'one that data are for', 'peerFallsSilentBeforeData', 'own');
