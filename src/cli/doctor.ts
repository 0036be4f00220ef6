/** `doctor`: looks at what the machine allows; says what will not work, why, and what mends it. */
import type { DoctorOptions } from "../config/doctor.ts";
import { judge } from "../doctor/checks.ts";
import { gather, type Tries } from "../doctor/gather.ts";
import { guestScript } from "../doctor/in-guest.ts";
import { hasProblems, reportJson, reportText } from "../doctor/report.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { missingFeatures } from "../sys/features.ts";
import { hasSystemCalls, loadLibc } from "../sys/libc.ts";
import { raiseDescriptors } from "../sys/rlimit.ts";
import { mayPing } from "../sys/socket.ts";
import { ownSurroundings } from "./program.ts";

/** Resolves to the exit code: 1 where something will not work. */
export async function doctor(options: DoctorOptions): Promise<number> {
  const { network, hooksDir, dns, json } = options;
  if (options.inGuest) {
    const { subnet, mtu } = network;
    const text = guestScript({
      gateway: formatIpv4(subnet.gateway),
      dns: formatIpv4(subnet.dns),
      mtu,
    });
    process.stdout.write(text);
    return 0;
  }
  const facts = await gather({
    ...ownSurroundings(),
    hooksDir,
    resolvers: dns,
    tries: await triesOf(),
  });
  const findings = judge(facts, options);
  process.stdout.write(json ? reportJson(findings) : reportText(findings));
  return hasProblems(findings) ? 1 : 0;
}

async function triesOf(): Promise<Tries | undefined> {
  if (!hasSystemCalls()) return undefined;
  const sys = await loadLibc();
  return {
    mayPing: () => mayPing(sys),
    descriptors: () => raiseDescriptors(sys),
    missingFeatures: () => missingFeatures(sys),
  };
}
