// node-list.ts: a set of objects that are in at most one such set at a time, and know where: no memory of its own, whatever comes and goes.
// Invariant: an object is linked if and only if it is in a list; both its neighbours know it.

/** What can be in a {@link NodeList}. */
export class ListNode {
  /** @internal */ _next: ListNode | null = null;
  /** @internal */ _previous: ListNode | null = null;
}

export class NodeList<T extends ListNode> {
  readonly #head = new ListNode();

  constructor() {
    this.#head._next = this.#head._previous = this.#head;
  }

  /** One that is in it already stays where it is. */
  add(node: T): void {
    if (node._next !== null) return;
    const last = this.#head._previous!;
    node._previous = last;
    node._next = this.#head;
    last._next = this.#head._previous = node;
  }
  /** One that is not in it stays out. */
  remove(node: T): void {
    if (node._next === null) return;
    node._previous!._next = node._next;
    node._next._previous = node._previous;
    node._next = node._previous = null;
  }
  /** Takes out one after the other, oldest first. */
  drain(each: (node: T) => void): void {
    for (let node = this.#head._next as T; node !== (this.#head as ListNode); node = this.#head._next as T) {
      this.remove(node);
      each(node);
    }
  }
}
