// session.test.ts: the order of runs is fair, what others disturbed is repeated or marked, and no failure is hidden.

import { evaluate } from './evaluate';

interface Kept {
  peer: string;
  round: number;
  error?: string;
  disturbed?: boolean;
  retries?: number;
}
/** The runs of a session whose every run is made by `run`, the body of a function of `task`. */
function session(run: string, options: object, peers: object[], rounds: number): Kept[] {
  const body = `let count = 0;
    const run = async (task) => { count++; ${run} };
    const session = new Session({ ...input.options, say: () => {}, run });
    const workload = { name: 'w', about: 'w' };
    await session.measure([{ workload, transport: 'uds', peers: input.peers }], input.rounds);
    return session.runs`;
  return evaluate<Kept[]>(['lib/session.mjs'], body, { options, peers, rounds });
}
const named = (...names: string[]): object[] => names.map((name) => ({ name }));
const good = 'return { rate: 1, childrenCpuMs: 1e9 };';

test('another peer begins each round', () => {
  const order = session(good, {}, named('a', 'b', 'c'), 3).map(({ peer, round }) => `${round}${peer}`);
  expect(order).toEqual(['1b', '1c', '1a', '2c', '2a', '2b', '3a', '3b', '3c']);
});

test('a peer takes part in its rounds, workloads and transports only', () => {
  const peers = [
    { name: 'a' },
    { name: 'b', rounds: 1 },
    { name: 'c', only: ['other'] },
    { name: 'd', transports: ['tcp'] },
  ];
  const order = session(good, {}, peers, 2).map(({ peer, round }) => `${round}${peer}`);
  expect(order.sort()).toEqual(['1a', '1b', '2a']);
});

test('a run that others disturbed is repeated, and marked when it stays so', () => {
  const busy = 'return { rate: 1, childrenCpuMs: -1e9 };'; // as if others had used what is missing
  expect(session(busy, { retries: 2 }, named('a'), 1)).toMatchObject([{ disturbed: true }]);
  const onceBusy = 'return { rate: count, childrenCpuMs: count === 1 ? -1e9 : 1e9 };';
  const [kept] = session(onceBusy, { retries: 2 }, named('a'), 1);
  expect(kept).toMatchObject({ rate: 2, retries: 1 });
  expect(kept.disturbed).toBeUndefined();
});

test('a failure is kept, and not tried again until it succeeds', () => {
  const fails = "if (count === 1) throw new Error('lost'); return { rate: 1, childrenCpuMs: 1e9 };";
  expect(session(fails, { retries: 5 }, named('a'), 1)).toMatchObject([{ error: 'lost' }]);
  const laterFails = "if (count === 2) throw new Error('lost'); return { rate: 1, childrenCpuMs: -1e9 };";
  expect(session(laterFails, { retries: 5 }, named('a'), 1)).toMatchObject([{ error: 'lost' }]);
});
