/** A set of whole numbers as ranges, left end included, right end not. */

export class Ranges {
  /** Left and right in turn, ascending; no two touch. */
  readonly #edges: number[] = [];

  add(left: number, right: number): void {
    if (right <= left) return;
    const edges = this.#edges;
    let low = left;
    let high = right;
    let at = edges.length;
    // From the end: what comes is mostly new.
    while (at > 0 && (edges[at - 2] ?? 0) > right) at -= 2;
    let first = at;
    while (first > 0 && (edges[first - 1] ?? 0) >= left) {
      first -= 2;
      low = Math.min(low, edges[first] ?? low);
      high = Math.max(high, edges[first + 1] ?? high);
    }
    edges.splice(first, at - first, low, high);
  }

  /** True where every number from `left` to `right` - 1 is in the set. */
  has(left: number, right: number): boolean {
    const edges = this.#edges;
    for (let at = edges.length - 2; at >= 0; at -= 2) {
      if ((edges[at] ?? 0) <= left) return right <= (edges[at + 1] ?? 0);
    }
    return false;
  }

  /** How many ranges there are. */
  get count(): number {
    return this.#edges.length / 2;
  }
}
