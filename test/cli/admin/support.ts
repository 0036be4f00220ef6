/** A service without a program behind it, and an output that keeps what it is given. */
import { createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { flowCalls } from "../../../src/admin/flow-calls.ts";
import { AdminService } from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import type { Asked } from "../../../src/cli/admin/asked.ts";
import type { Output } from "../../../src/cli/admin/output.ts";

/** A terminal of that width, or none. */
export class KeptOutput implements Output {
  text = "";
  readonly octets: Uint8Array[] = [];
  height = 24;
  width: number | undefined;

  constructor(width?: number) {
    this.width = width;
  }

  get isTerminal(): boolean {
    return this.width !== undefined;
  }

  columns(): number | undefined {
    return this.width;
  }

  rows(): number {
    return this.height;
  }

  async write(what: string | Uint8Array): Promise<void> {
    if (typeof what === "string") this.text += what;
    else this.octets.push(what.slice());
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }

  /** Each line as JSON. */
  get records(): Record<string, unknown>[] {
    return this.lines.map((line) => JSON.parse(line));
  }
}

export interface Stage extends Asked {
  readonly output: KeptOutput;
  readonly notes: string[];
  readonly end: AbortController;
}

/** Asks a service that answers as told; other calls are refused as unimplemented. */
export function stage(service: Partial<ServiceImpl<typeof AdminService>>, width?: number): Stage {
  const transport = createRouterTransport((router) => router.service(AdminService, service));
  const notes: string[] = [];
  const end = new AbortController();
  return {
    calls: createClient(AdminService, transport),
    flows: flowCalls(transport),
    output: new KeptOutput(width),
    signal: end.signal,
    end,
    notes,
    note: (text) => notes.push(text),
  };
}
