/**
 * A histogram in memory that another thread may read: how many observations each range holds, and
 * their sum. One thread writes. A reader may see an observation counted whose sum is still to come.
 */

export class Histogram {
  readonly #cells: Float64Array;
  readonly #bounds: readonly number[];

  /**
   * @param cells `cellsOf(bounds)` of them, zero at first
   * @param bounds upper ends of the ranges, rising; the last range has none
   */
  constructor(cells: Float64Array, bounds: readonly number[]) {
    this.#cells = cells;
    this.#bounds = bounds;
  }

  /** Numbers that a histogram with these bounds takes. */
  static cellsOf(bounds: readonly number[]): number {
    return bounds.length + 2;
  }

  /** Upper ends of the ranges, but for the last one. */
  get bounds(): readonly number[] {
    return this.#bounds;
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    const cells = this.#cells;
    let i = 0;
    while (i < bounds.length && value > (bounds[i] ?? 0)) i += 1;
    cells[i] = (cells[i] ?? 0) + 1;
    const sum = bounds.length + 1;
    cells[sum] = (cells[sum] ?? 0) + value;
  }

  /** Observations of each range, the last one included. */
  get counts(): readonly number[] {
    return Array.from(this.#cells.subarray(0, this.#bounds.length + 1));
  }

  get sum(): number {
    return this.#cells[this.#bounds.length + 1] ?? 0;
  }
}
