// The list that objects are in without memory of its own.
import fc from 'fast-check';
import { ListNode, NodeList } from '../../../lib/engine/node-list';

class Item extends ListNode {
  constructor(readonly name: number) {
    super();
  }
}

test('holds what was added and not removed, in the order it was added', () => {
  const step = fc.record({ add: fc.boolean(), item: fc.nat({ max: 9 }) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const items = Array.from({ length: 10 }, (_, name) => new Item(name));
      const list = new NodeList<Item>();
      const expected = new Set<number>();
      for (const { add, item } of steps) {
        if (add) {
          list.add(items[item]);
          expected.add(item);
        } else {
          list.remove(items[item]);
          expected.delete(item);
        }
      }
      const found: number[] = [];
      list.drain(({ name }) => found.push(name));
      expect(found).toEqual([...expected]);
      list.drain(() => {
        throw new Error('something is left');
      });
    }),
  );
});

test('may lose and gain members while it is drained', () => {
  const list = new NodeList<Item>();
  const [a, b, c] = [new Item(1), new Item(2), new Item(3)];
  list.add(a);
  list.add(b);
  const found: number[] = [];
  list.drain((item) => {
    found.push(item.name);
    if (item === a) {
      list.remove(b);
      list.add(c);
    }
  });
  expect(found).toEqual([1, 3]);
});
