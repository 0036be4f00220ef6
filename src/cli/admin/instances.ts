/** `instances`: the programs that run here, and what networks they have. */

import type { AdminClient } from "../../admin/client.ts";
import type { GetInstanceResponse } from "../../admin/gen/slirp_binding/admin/v1/admin_pb.js";
import type { InstancesQuestion } from "../../config/inspect.ts";
import { type Asked, jsonLine } from "./asked.ts";
import { NoInstanceError } from "./failures.ts";
import type { Chosen } from "./find.ts";
import { type Column, tableLines } from "./table.ts";
import { durationText } from "./units.ts";

/** A program that does not say who it is in this time is left out. */
const ANSWER_LIMIT_ms = 3000;

export interface Instance extends Chosen {
  readonly told: GetInstanceResponse;
  /** Since it started, microseconds. */
  readonly age: number;
}

const COLUMNS: readonly Column<Instance>[] = [
  { title: "NAME", cell: ({ told }) => told.name, least: 8 },
  { title: "COMMAND", cell: ({ told }) => told.command },
  { title: "PID", cell: ({ told }) => String(told.pid), isRight: true },
  { title: "UP", cell: ({ age }) => durationText(age), isRight: true, leave: 2 },
  { title: "NETWORKS", cell: networksText, least: 8 },
  { title: "VERSION", cell: ({ told }) => told.version, leave: 3 },
  { title: "SOCKET", cell: ({ path }) => path, least: 16, leave: 1 },
];

export interface InstancesParts extends Omit<Asked, "calls" | "flows"> {
  readonly find: () => Promise<readonly Chosen[]>;
  readonly connect: (path: string) => AdminClient;
  /** Microseconds since 1970. */
  readonly now: number;
  /** Where was looked, for who finds nothing. */
  readonly nobody: string;
}

export async function showInstances(
  { json }: InstancesQuestion,
  { find, connect, output, note, now, nobody }: InstancesParts,
): Promise<void> {
  const found = await find();
  const asked = await Promise.all(
    found.map(async (chosen): Promise<Instance | undefined> => {
      try {
        const told = await connect(chosen.path).calls.getInstance(
          {},
          { timeoutMs: ANSWER_LIMIT_ms },
        );
        return { ...chosen, told, age: Math.max(now - Number(told.startedUs), 0) };
      } catch {
        note(`${chosen.name} does not answer: ${chosen.path}`);
        return undefined;
      }
    }),
  );
  const instances = asked.filter((each) => each !== undefined);
  if (instances.length === 0) throw new NoInstanceError(nobody);
  const lines = json
    ? instances.map((each) => jsonLine(instanceRecord(each)))
    : tableLines(COLUMNS, instances, output.columns()).map((line) => `${line}\n`);
  await output.write(lines.join(""));
}

function networksText({ told }: Instance): string {
  const texts = told.networks.map(({ name, isUp, hasGuest }) => {
    if (!isUp) return `${name} (down)`;
    return hasGuest ? name : `${name} (no guest)`;
  });
  return texts.length === 0 ? "none" : texts.join(", ");
}

function instanceRecord({ path, told }: Instance): object {
  return {
    name: told.name,
    socket: path,
    command: told.command,
    pid: told.pid,
    version: told.version,
    started_us: Number(told.startedUs),
    networks: told.networks.map((network) => ({
      name: network.name,
      link: network.link,
      endpoint: network.endpoint,
      has_guest: network.hasGuest,
      is_up: network.isUp,
      mtu: network.mtu,
      subnet: network.subnet,
      gateway: network.gateway,
      guest_address: network.guestAddress,
      subnet6: network.subnet6,
      gateway6: network.gateway6,
      guest_address6: network.guestAddress6,
      dns_address: network.dnsAddress,
      dns_address6: network.dnsAddress6,
      engine_failures: network.engineFailures,
      flows_max: network.flowsMax,
    })),
  };
}
