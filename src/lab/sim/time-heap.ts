/**
 * Things to do, the earliest first; what is due at the same time comes out as it went in, so that a
 * run depends on nothing but its seed. A binary heap over parallel arrays: pushing and popping
 * allocate nothing once the arrays have grown.
 */

export class TimeHeap<T> {
  readonly #times: number[] = [];
  readonly #orders: number[] = [];
  readonly #items: T[] = [];
  #order = 0;

  get size(): number {
    return this.#items.length;
  }

  /** Time of the earliest; Infinity where there is none. */
  get next(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  push(at: number, item: T): void {
    let hole = this.#items.length;
    const order = this.#order++;
    this.#times.push(at);
    this.#orders.push(order);
    this.#items.push(item);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!this.#isBefore(at, order, parent)) break;
      this.#move(parent, hole);
      hole = parent;
    }
    this.#put(hole, at, order, item);
  }

  /** Takes the earliest out; undefined where there is none. */
  pop(): T | undefined {
    const [first] = this.#items;
    const item = this.#items.pop();
    const at = this.#times.pop();
    const order = this.#orders.pop();
    if (item === undefined || at === undefined || order === undefined) return undefined;
    const size = this.#items.length;
    if (size === 0) return first;
    let hole = 0;
    for (;;) {
      let child = hole * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#isOrdered(child + 1, child)) child += 1;
      if (this.#isBefore(at, order, child)) break;
      this.#move(child, hole);
      hole = child;
    }
    this.#put(hole, at, order, item);
    return first;
  }

  #isBefore(at: number, order: number, other: number): boolean {
    const time = this.#times[other] ?? 0;
    return at < time || (at === time && order < (this.#orders[other] ?? 0));
  }

  #isOrdered(a: number, b: number): boolean {
    return this.#isBefore(this.#times[a] ?? 0, this.#orders[a] ?? 0, b);
  }

  #move(from: number, to: number): void {
    const item = this.#items[from];
    if (item !== undefined) this.#put(to, this.#times[from] ?? 0, this.#orders[from] ?? 0, item);
  }

  #put(at: number, time: number, order: number, item: T): void {
    this.#times[at] = time;
    this.#orders[at] = order;
    this.#items[at] = item;
  }
}
