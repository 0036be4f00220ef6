/** What a check has found. */

/** `note`: worth knowing; `warning`: something will not work; `error`: nothing will. */
export type Severity = "ok" | "note" | "warning" | "error";

export interface Finding {
  /** Name of the check. */
  readonly check: string;
  readonly severity: Severity;
  /** What is so, one sentence without a full stop. */
  readonly what: string;
  /** Why it matters. Absent where all is well. */
  readonly why?: string;
  /** The one command, or change, that mends it. */
  readonly mend?: string;
}
