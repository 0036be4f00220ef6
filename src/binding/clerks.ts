/** Who carries out the requests of `requests.ts`, as long as one engine lives. */
import { FLOW_SIZE } from "../../wasm/abi.ts";
import { copyFlowPage, type FlowPage } from "../engine/flow-page.ts";
import { handleOf } from "../engine/flows.ts";
import type { HostEngine } from "../engine/host-engine.ts";
import type { DropSamples } from "../link/drop-samples.ts";
import type { Libc } from "../sys/libc.ts";
import { socketName } from "../sys/socket-name.ts";
import type { HostSockets } from "../upstream/sockets.ts";
import type { CaptureSlots } from "./capture-slots.ts";
import type { Clerks } from "./desk.ts";
import type { PortDesk } from "./port-desk.ts";
import type { LocalName } from "./requests.ts";

export interface ClerkParts {
  readonly sys: Libc;
  readonly engine: HostEngine;
  readonly sockets: Pick<HostSockets, "descriptorOf">;
  readonly captures: Pick<CaptureSlots, "start" | "figures" | "stop">;
  readonly drops: Pick<DropSamples, "list">;
  readonly ports: PortDesk;
  /** The engine's time, microseconds. */
  readonly clock: () => number;
}

export function createClerks(parts: ClerkParts): Clerks {
  const { engine, ports, captures, drops, clock } = parts;
  return {
    flows: ({ from }) => {
      const page = copyFlowPage(engine, from, clock());
      return { page, locals: localsOf(parts, page) };
    },
    drops: () => drops.list(),
    captureStart: (asks) => {
      captures.start(asks);
      return {};
    },
    captureFigures: ({ slot }) => captures.figures(slot),
    captureStop: ({ slot }) => captures.stop(slot),
    published: () => ports.list(),
    publish: (rule) => ports.add(rule, clock()),
    unpublish: (what) => ports.remove(what, clock()),
  };
}

function localsOf({ sys, sockets }: ClerkParts, page: FlowPage): (LocalName | undefined)[] {
  const view = new DataView(page.records.buffer);
  return [...page.slots].map((slot, i) => {
    const fd = sockets.descriptorOf(handleOf(view, i * FLOW_SIZE, slot) | 0);
    return fd < 0 ? undefined : socketName(sys, fd);
  });
}
