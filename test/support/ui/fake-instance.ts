/**
 * An instance that is none: the admin service on a Unix socket, with flows, figures and events as a
 * test sets them. It says what it knows every `interval_ms`, whatever interval it is asked for.
 */
import { rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  AdminService,
  type CaptureRequest,
  type DroppedFrame,
  type Event,
  type EventKind,
  EventSchema,
  type Family,
  type Flow,
  FlowKeySchema,
  LogLevel,
  type Network,
  type PublishedPort,
  PublishedPortSchema,
} from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";

type Service = ServiceImpl<typeof AdminService>;

const PAGE_SIZE = 1024;

export class FakeInstance {
  name = "fake";
  version = "0.1.0";
  networks: Network[] = [];
  readonly flows = new Map<string, Flow>();
  families: Family[] = [];
  drops: DroppedFrame[] = [];
  ports: PublishedPort[] = [];
  level = LogLevel.INFO;
  readonly events: Event[] = [];
  readonly lines: string[] = [];
  /** What a capture is made of, and what captures were asked for. */
  capture: Uint8Array[] = [];
  readonly captured: CaptureRequest[] = [];
  /** Calls that came, by name. */
  readonly calls: string[] = [];
  /** How much faster than others' its clock goes. */
  speed = 1;
  readonly #start_ms = Date.now();
  readonly #path: string;
  readonly #interval_ms: number;
  #server: Server | undefined;
  /** Called before anything is said of an interval. */
  onInterval: () => void = () => {};
  #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string, interval_ms = 200) {
    this.#path = path;
    this.#interval_ms = interval_ms;
  }

  /** Microseconds since 1970, by its clock. */
  now(): bigint {
    const elapsed_ms = (Date.now() - this.#start_ms) * this.speed;
    return BigInt(Math.round(this.#start_ms + elapsed_ms)) * 1000n;
  }

  async start(): Promise<void> {
    rmSync(this.#path, { force: true });
    const routes = (router: ConnectRouter): void => {
      router.service(AdminService, this.#service());
    };
    const server = createServer(connectNodeAdapter({ routes }));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#path, resolve));
    this.#timer = setInterval(() => {
      this.onInterval();
      for (const listener of this.#listeners) listener();
    }, this.#interval_ms);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
    for (const listener of this.#listeners) listener();
  }

  set(flow: Flow): void {
    this.flows.set(`${flow.network} ${flow.id}`, flow);
  }

  end(flow: Flow): void {
    this.flows.delete(`${flow.network} ${flow.id}`);
  }

  say(
    kind: EventKind,
    message: string,
    more: Partial<Pick<Event, "network" | "details">> = {},
  ): void {
    const id = BigInt(this.events.length + 1);
    this.events.push(create(EventSchema, { id, timeUs: this.now(), kind, message, ...more }));
  }

  /** Ends with the service or the watcher. */
  async *#intervals(signal: AbortSignal): AsyncGenerator<void> {
    const server = this.#server;
    while (!signal.aborted && this.#server === server) {
      yield;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#listeners.delete(done);
          signal.removeEventListener("abort", done);
          resolve();
        };
        this.#listeners.add(done);
        signal.addEventListener("abort", done);
      });
    }
  }

  #service(): Partial<Service> {
    return {
      ...this.#unary(),
      ...this.#watches(),
      capture: (request, context) => this.#capture(request, context.signal),
    };
  }

  #unary(): Partial<Service> {
    return {
      getInstance: () => ({
        name: this.name,
        version: this.version,
        pid: 4711,
        command: "attach",
        startedUs: BigInt(this.#start_ms - 7_384_000) * 1000n,
        networks: this.networks,
      }),
      listDrops: () => ({ frames: this.drops }),
      listPublished: () => ({ ports: this.ports }),
      listCaptures: () => ({ captures: [] }),
      getLogLevel: () => ({ level: this.level }),
      setLogLevel: ({ level }) => {
        const previous = this.level;
        this.level = level;
        return { previous };
      },
      addPublished: ({ network, rule }) => {
        this.calls.push(`AddPublished ${network} ${rule}`);
        const [, host = "", guest = "", protocol = "tcp"] =
          /^(\d+):(\d+)(?:\/(tcp|udp))?$/.exec(rule) ?? [];
        if (host === "")
          throw new ConnectError("wanted a rule such as 8080:80", Code.InvalidArgument);
        const port = create(PublishedPortSchema, {
          network: network || (this.networks[0]?.name ?? ""),
          protocol,
          hostAddress: "0.0.0.0",
          hostPort: Number(host),
          guestPort: Number(guest),
          isAdded: true,
          isListening: true,
        });
        this.ports = [...this.ports, port];
        return { ports: [port] };
      },
      removePublished: ({ rule }) => {
        this.calls.push(`RemovePublished ${rule}`);
        const isMeant = ({ hostPort }: PublishedPort): boolean => rule.includes(String(hostPort));
        const ports = this.ports.filter(isMeant);
        this.ports = this.ports.filter((each) => !isMeant(each));
        return { ports };
      },
    };
  }

  #watches(): Partial<Service> {
    const self = this;
    return {
      async *watchStats(_, { signal }) {
        self.onInterval();
        for await (const _tick of self.#intervals(signal)) {
          yield { timeUs: self.now(), families: self.families };
        }
      },
      async *watchFlows(_, { signal }) {
        let known = new Map<string, Flow>();
        for await (const _tick of self.#intervals(signal)) {
          // As they are now: they may change while a slow watcher is told.
          const living = new Map(self.flows);
          const changed = [...living].filter(([key, flow]) => known.get(key) !== flow);
          const ended = [...known].filter(([key]) => !living.has(key));
          const flows = changed.map(([, flow]) => flow);
          for (let i = 0; i < flows.length; i += PAGE_SIZE) {
            yield { flows: flows.slice(i, i + PAGE_SIZE) };
          }
          const keys = ended.map(([, { network, id }]) => create(FlowKeySchema, { network, id }));
          yield { ended: keys, isComplete: true, timeUs: self.now() };
          known = living;
        }
      },
      async *watchEvents({ afterId }, { signal }) {
        let next = Number(afterId);
        for await (const _tick of self.#intervals(signal)) {
          for (; next < self.events.length; next += 1) {
            const event = self.events[next];
            if (event !== undefined) yield event;
          }
        }
      },
      async *watchLog(_, { signal }) {
        let next = 0;
        for await (const _tick of self.#intervals(signal)) {
          for (; next < self.lines.length; next += 1) yield { text: self.lines[next] ?? "" };
        }
      },
    };
  }

  async *#capture(
    request: CaptureRequest,
    signal: AbortSignal,
  ): AsyncGenerator<{ octets: Uint8Array }> {
    this.captured.push(request);
    if (request.filter.includes("nonsense")) {
      throw new ConnectError('filter: unknown word "nonsense"', Code.InvalidArgument);
    }
    let next = 0;
    for await (const _tick of this.#intervals(signal)) {
      for (; next < this.capture.length; next += 1) {
        const octets = this.capture[next];
        if (octets !== undefined) yield { octets };
      }
    }
  }
}
