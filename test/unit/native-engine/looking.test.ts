// A receiver that waits looks for a moment before this thread sleeps: in pieces, between which the event loop has its turns.
import { resolveOptions } from '../../../lib/engine/options';
import type { Binding } from '../../../lib/native-engine/binding';
import { NativeEngine } from '../../../lib/native-engine/engine';

const [PARKED, FOUND, UNDECIDED] = [0, 1, 2];
const PORT = 1;

/** An engine whose binding answers to spin() what it is given, one after the other, and writes down what it is asked. */
function engineThatLooks(...answers: number[]) {
  const asked: string[] = [];
  const binding = {
    tables: { counterNames: [] },
    create: () => PORT,
    engineOf: () => 1,
    pollerOf: () => 'none',
    setReferenced: () => undefined,
    openSockets: () => 0,
    park: () => asked.push('park') > 0,
    unpark: () => asked.push('unpark'),
    wantsSpin: () => answers.length > 0,
    spin: () => {
      asked.push('spin');
      return answers.shift() ?? PARKED;
    },
    drain: () => {
      asked.push('drain');
      return 0;
    },
    detach: () => undefined, // when the engine is collected
  };
  const loaded = { binding: binding as unknown as Binding, path: 'a stub', passedOver: '' };
  return { engine: new NativeEngine(resolveOptions({}), loaded), asked };
}
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('it goes on until it is decided, one piece in each turn', async () => {
  const { engine, asked } = engineThatLooks(UNDECIDED, UNDECIDED, PARKED);
  engine.waiting(1);
  expect(asked).toEqual(['park']);
  for (const pieces of [1, 2, 3]) {
    await turns(1);
    expect(asked).toEqual(['park', ...Array<string>(pieces).fill('spin')]);
  }
  await turns(3);
  expect(asked).toEqual(['park', 'spin', 'spin', 'spin']);
  engine.waiting(-1);
  expect(asked.at(-1)).toBe('unpark');
});

test('what is found is fetched, and the port parked again', async () => {
  const { engine, asked } = engineThatLooks(UNDECIDED, FOUND);
  engine.waiting(1);
  await turns(3);
  expect(asked).toEqual(['park', 'spin', 'spin', 'drain', 'park']);
  engine.waiting(-1);
});

test('a doorbell that rings again and again in one turn of the event loop gives way to others', async () => {
  const { engine, asked } = engineThatLooks();
  engine.waiting(1);
  const end = performance.now() + 1_000;
  let fetched = -1;
  // It is known by then that a turn lasts: what comes later waits for the next one.
  while (asked.length !== fetched && performance.now() < end) {
    fetched = asked.length;
    const next = performance.now() + 2;
    while (performance.now() < next) engine.onDoorbell();
  }
  expect(asked.length).toBe(fetched);
  await turns(1);
  expect(asked.slice(fetched)).toEqual(['drain', 'park']);
  engine.waiting(-1);
});

test('nobody looks any more when the wait is over', async () => {
  const { engine, asked } = engineThatLooks(UNDECIDED, UNDECIDED);
  engine.waiting(1);
  await turns(1);
  engine.waiting(-1);
  await turns(2);
  expect(asked).toEqual(['park', 'spin', 'unpark']);
});
