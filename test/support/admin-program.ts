/** A program for the admin service without threads: its networks are engines in this one. */
import { createClient, createRouterTransport } from "@connectrpc/connect";
import type { AdminCalls } from "../../src/admin/client.ts";
import { EventLog } from "../../src/admin/events.ts";
import { AdminService } from "../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { LogTail } from "../../src/admin/log-tail.ts";
import type { AdminProgram } from "../../src/admin/program.ts";
import { addAdminService } from "../../src/admin/service.ts";
import type { Binding } from "../../src/binding/binding.ts";
import { MAILBOX_SIZE, Mailbox } from "../../src/binding/mailbox.ts";
import { METERS_SIZE, Meters } from "../../src/binding/meters.ts";
import type { RunningNetwork } from "../../src/binding/networks.ts";
import type { Requests } from "../../src/binding/requests.ts";
import { readAttachOptions } from "../../src/config/attach.ts";
import { copyFlowPage } from "../../src/engine/flow-page.ts";
import { LogThreshold } from "../../src/lib/log.ts";
import { settingsOf } from "../config/support.ts";
import { FlowTable } from "./flow-table.ts";

export const NOW = 1_000_000_000;
const WALL = 1_700_000_000_000_000;

/** Who is asked for what, in the order of the questions. */
export interface FakeNetwork extends RunningNetwork {
  readonly table: FlowTable;
}

export function fakeNetwork(name: string, isUp = true): FakeNetwork {
  const table = new FlowTable();
  const counters = new Mailbox(new SharedArrayBuffer(MAILBOX_SIZE));
  const meters = new Meters(new SharedArrayBuffer(METERS_SIZE));
  const local = { address: "192.0.2.7", port: 40_000 };
  const binding: Pick<Binding, "ask" | "refresh" | "counters" | "meters" | "endpoint"> = {
    counters,
    meters,
    endpoint: undefined,
    refresh: () => Promise.resolve(isUp),
    ask: (_kind, { from }: Requests["flows"]["asks"]) => {
      const page = copyFlowPage(table, from, NOW);
      return Promise.resolve({ page, locals: [...page.slots].map(() => local) });
    },
  };
  const options = readAttachOptions(settingsOf({ tap: name }), false);
  // What the service does not use is not there.
  return { name, options, binding: binding as Binding, table };
}

export function fakeProgram(networks: readonly RunningNetwork[]): AdminProgram {
  return {
    name: "attach-4711",
    version: "1.2.3",
    pid: 4711,
    command: "attach",
    started: WALL,
    now: () => WALL + 5,
    figures: () => ({
      version: "1.2.3",
      residentBytes: 1,
      cpuSeconds: 2,
      descriptors: 3,
      startSeconds: 4,
    }),
    networks: () => networks,
    events: new EventLog(() => WALL + 7),
    log: {
      threshold: LogThreshold.at("info"),
      debug: () => {},
      info: () => {},
      warn: () => {},
      error: () => {},
    },
    logTail: new LogTail(),
  };
}

/** Calls of its service, without a socket. */
export function callsOf(program: AdminProgram): AdminCalls {
  const transport = createRouterTransport((router) => addAdminService(router, program));
  return createClient(AdminService, transport);
}
