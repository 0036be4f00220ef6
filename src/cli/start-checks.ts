/**
 * What `doctor` looks at, looked at once a program that serves guests runs: a warning for each
 * finding, with why it matters and what mends it.
 *
 * Nobody waits for it. It begins after the program has said that it is ready, asks resolvers over
 * the network for up to two seconds, and its code is loaded for that and given back.
 */
import type { ResolverOptions } from "../config/names.ts";
import type { Logger } from "../lib/log.ts";
import { collectGarbage } from "../sys/resident.ts";
import { ownSurroundings } from "./program.ts";

export interface StartChecks {
  /** Look at all? */
  readonly checks: boolean;
  /** Resolvers in place of those of resolv.conf, and where they take queries. */
  readonly dns: Pick<ResolverOptions, "servers" | "port">;
  readonly hooksDir?: string | undefined;
}

/** Resolves when all is told. Never rejects. */
export async function checkAtStart(
  { checks, dns, hooksDir = "" }: StartChecks,
  log: Logger,
): Promise<void> {
  if (!checks) return;
  try {
    const { gather } = await import("../doctor/gather.ts");
    const { judgeRunning } = await import("../doctor/checks.ts");
    const facts = await gather({
      ...ownSurroundings(),
      hooksDir,
      resolvers: dns.servers,
      dnsPort: dns.port,
      tries: undefined,
    });
    for (const { check, what: problem, why, mend: remedy } of judgeRunning(facts)) {
      log.warn({ event: "check_failed", check, problem, why, remedy }, "check failed");
    }
  } catch (error) {
    log.debug({ err: error }, "checks failed");
  }
  collectGarbage();
}
