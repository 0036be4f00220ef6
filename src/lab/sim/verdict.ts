/** What a run came to. */
export interface WorldResult {
  /** What went wrong, the first things first; empty = nothing. */
  readonly violations: readonly string[];
  readonly hash: string;
  /** Virtual microseconds from start to end. */
  readonly elapsed: number;
  readonly turns: number;
  readonly framesToEngine: number;
  readonly framesToGuest: number;
  readonly flowsMax: number;
  readonly chunksMax: number;
}

/** The same, judged. */
export interface Verdict extends WorldResult {
  readonly seed: number;
  readonly ok: boolean;
}
