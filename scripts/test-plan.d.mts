/** Types of `test-plan.mjs` for tests that go by the plan. */

export interface Job {
  readonly runtime: "node" | "bun" | "deno";
  readonly file: string;
  readonly limit_s: number;
  readonly env: Readonly<Record<string, string>>;
}

export const SLOW_S: Readonly<Record<string, number>>;

export function testPlan(options: { readonly only?: string; readonly endToEnd?: boolean }): {
  readonly parallel: number;
  readonly jobs: readonly Job[];
}[];
