// progress.test.ts: what is drawn on a terminal, and the plain lines elsewhere. The terminal is a stream that claims to be one.

import { PassThrough } from 'node:stream';
import { createProgress, megabytes, speed } from '../../demo/progress';

interface Screen {
  readonly stream: NodeJS.WriteStream;
  text(): string;
}

function screen(isTTY: boolean): Screen {
  const stream = new PassThrough();
  let text = '';
  stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  Object.assign(stream, { isTTY, columns: 80 });
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
}

/** A clock that stands still unless it is moved. */
function clock() {
  let nowMs = 1000;
  return { now: () => nowMs, advance: (ms: number) => (nowMs += ms) };
}

const ESCAPE = '\u001b';
const HIDE_CURSOR = `${ESCAPE}[?25l`;
const SHOW_CURSOR = `${ESCAPE}[?25h`;

describe('on a terminal', () => {
  test('a bar shows percent, MB and MB/s, and the cursor comes back', async () => {
    const { stream, text } = screen(true);
    const { now, advance } = clock();
    const progress = createProgress(stream, now);
    progress.start(100_000_000);
    advance(500);
    progress.update(50_000_000);
    progress.stop();
    await drained(stream);
    expect(text()).toMatch(/50 % \| 50\.0 of 100\.0 MB \| 100 MB\/s/);
    expect(text()).toMatch(/=+-+/);
    expect(text().lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(text().lastIndexOf(HIDE_CURSOR));
    expect(text().endsWith('\n')).toBe(true);
  });

  test('nothing is drawn after stop, and stopping twice is harmless', async () => {
    const { stream, text } = screen(true);
    const progress = createProgress(stream);
    progress.start(10);
    progress.stop();
    await drained(stream);
    const before = text();
    progress.stop();
    progress.update(10);
    await drained(stream);
    expect(text()).toBe(before);
  });

  test('an empty file is drawn without NaN', async () => {
    const { stream, text } = screen(true);
    const progress = createProgress(stream);
    progress.start(0);
    progress.update(0);
    progress.stop();
    await drained(stream);
    expect(text()).toMatch(/100 % \| 0\.0 of 0\.0 MB/);
    expect(text()).not.toContain('NaN');
  });

  test('stop before start draws nothing', async () => {
    const { stream, text } = screen(true);
    createProgress(stream).stop();
    await drained(stream);
    expect(text()).toBe('');
  });

  test('no signal handler of the bar stays or is set', () => {
    const { stream } = screen(true);
    const before = process.listenerCount('SIGINT');
    const progress = createProgress(stream);
    progress.start(10);
    expect(process.listenerCount('SIGINT')).toBe(before);
    progress.stop();
  });
});

describe('without a terminal', () => {
  test('one plain line per tenth, however often it is told', async () => {
    const { stream, text } = screen(false);
    const { now, advance } = clock();
    const progress = createProgress(stream, now);
    progress.note('hello');
    progress.start(1_000_000);
    for (let done = 0; done <= 1_000_000; done += 1000) {
      advance(1);
      progress.update(done);
    }
    progress.stop();
    await drained(stream);
    const lines = text().trimEnd().split('\n');
    expect(lines).toHaveLength(11);
    expect(lines.slice(0, 2)).toEqual(['hello', '10 %: 0.1 of 1.0 MB, 1 MB/s']);
    expect(lines[10]).toMatch(/^100 %/);
    expect(text()).not.toContain(ESCAPE);
  });

  test('a jump over several tenths is one line', async () => {
    const { stream, text } = screen(false);
    const progress = createProgress(stream, clock().now);
    progress.start(100);
    progress.update(75);
    progress.update(79);
    progress.update(80);
    await drained(stream);
    expect(text().match(/\d+ %/g)).toEqual(['75 %', '80 %']);
  });

  test('an empty file, and updates outside of start and stop, print nothing', async () => {
    const { stream, text } = screen(false);
    const progress = createProgress(stream);
    progress.update(10);
    progress.start(0);
    progress.update(0);
    progress.stop();
    progress.start(10);
    progress.stop();
    progress.update(10);
    await drained(stream);
    expect(text()).toBe('');
  });
});

test('numbers are decimal megabytes, and no time gives no speed', () => {
  expect(megabytes(98_932_688)).toBe('98.9');
  expect(speed(100_000_000, 250)).toBe('400');
  expect(speed(100, 0)).toBe('0');
});

/** What was written has been read by the listener. */
async function drained(stream: NodeJS.WriteStream): Promise<void> {
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
  await new Promise<void>((resolve) => setImmediate(resolve));
}
