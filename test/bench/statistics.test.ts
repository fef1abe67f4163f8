// statistics.test.ts: what many runs come to: medians and spreads, what is left out, and what a comparison says.

import { evaluate } from './evaluate';

const statistics = <T>(body: string, input?: unknown): T => evaluate<T>(['lib/statistics.mjs'], body, input);

interface Spread {
  median: number;
  min: number;
  max: number;
  count: number;
}
interface Row {
  peer: string;
  failed: number;
  disturbed: number;
  rate?: Spread;
  ratio?: Spread;
}
const run = (peer: string, round: number, rate: number, more: object = {}): object => ({
  ...{ workload: 'w', transport: 'uds', peer, round, rate },
  ...more,
});

describe('numbers', () => {
  test('have a median and a spread, of those that are numbers', () => {
    const result = statistics(
      'return [median([3, 1, 2]), median([4, 1, 2, 3]), spread([2, undefined, 1, NaN, 9]), spread([]) ?? null]',
    );
    expect(result).toEqual([2, 2.5, { median: 2, min: 1, max: 9, count: 3 }, null]);
  });

  test('have percentiles, which are values that occurred', () => {
    const result = statistics('return percentilesUs(Float64Array.from({ length: 1000 }, (_, i) => 1000 - i))');
    expect(result).toEqual({ p50Us: 500_000, p90Us: 900_000, p99Us: 990_000, p999Us: 999_000, maxUs: 1_000_000 });
  });
});

describe('a summary', () => {
  const summarize = (runs: object[]): Row[] => statistics<Row[]>('return summarize(input, "base")', runs);

  test('compares with the yardstick round by round, so that a mood of the machine falls out', () => {
    const rows = summarize([run('base', 1, 100), run('own', 1, 50), run('base', 2, 10), run('own', 2, 6)]);
    expect(rows[1]).toMatchObject({ peer: 'own', rate: { median: 28, min: 6, max: 50 } });
    expect(rows[1].ratio).toEqual({ median: 0.55, min: 0.5, max: 0.6, count: 2 });
  });

  test('leaves out what others disturbed, unless there is nothing else, and says so', () => {
    const some = summarize([run('own', 1, 1, { disturbed: true }), run('own', 2, 10)]);
    expect(some[0]).toMatchObject({ disturbed: 0, rate: { median: 10, count: 1 } });
    const all = summarize([run('own', 1, 1, { disturbed: true })]);
    expect(all[0]).toMatchObject({ disturbed: 1, rate: { median: 1 } });
  });

  test('counts failures, and takes no figure from them', () => {
    const rows = summarize([run('own', 1, 10), { ...run('own', 2, 99), error: 'lost' }]);
    expect(rows[0]).toMatchObject({ failed: 1, rate: { median: 10, count: 1 } });
  });
});

describe('a comparison of two revisions', () => {
  test('gives the ratio within each round, and says when there are too few to agree', () => {
    const runs = [run('a', 1, 100), run('b', 1, 110), run('a', 2, 50), run('b', 2, 60)];
    const [row] = statistics<{ rate: Spread; verdict: string }[]>(
      'return compareTwo(input, "a", "b").map((row) => ({ ...row, verdict: verdictOf(row.rate) }))',
      runs,
    );
    expect(row.rate).toMatchObject({ min: 1.1, max: 1.2, count: 2 });
    expect(row.verdict).toBe('too few rounds to say');
  });

  test.each([
    [{ min: 0.9, max: 1.1, count: 7 }, 'within the spread'],
    [{ min: 0.8, max: 0.9, count: 7 }, 'less in every round'],
    [{ min: 1.1, max: 1.2, count: 5 }, 'more in every round'],
    [{ min: 2, max: 2, count: 4 }, 'too few rounds to say'],
  ])('%j is %s', (ratio, verdict) => {
    expect(statistics('return verdictOf(input)', ratio)).toBe(verdict);
  });
});

test('what JavaScript allocated is what the heap grew between collections', () => {
  const heap = (usedHeapSize: number): object => ({ heapStatistics: { usedHeapSize } });
  const collections = [
    { beforeGC: heap(150), afterGC: heap(20) },
    { beforeGC: heap(120), afterGC: heap(30) },
  ];
  expect(evaluate(['lib/usage.mjs'], 'return allocatedBytes(input, 100, 35)', collections)).toBe(50 + 100 + 5);
});
