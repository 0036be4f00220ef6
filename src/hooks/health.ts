/**
 * The standard health service of gRPC (grpc.health.v1), for probes and tools.
 *
 * It knows the services of its own socket, and the empty name for all of them together. They are
 * healthy together or not at all.
 */
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as Status,
} from "./gen/grpc/health/v1/health_pb.js";

/** The state that all sockets of a server report. */
export class Health {
  #isServing = true;
  #hasEnded = false;
  #watchers = new Set<() => void>();

  get isServing(): boolean {
    return this.#isServing;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  setServing(isServing: boolean): void {
    if (isServing === this.#isServing) return;
    this.#isServing = isServing;
    this.#wake();
  }

  /** Ends all watches, since a call in progress would keep its connection open. */
  end(): void {
    this.#isServing = false;
    this.#hasEnded = true;
    this.#wake();
  }

  /** Resolves at the next change, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#watchers.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      if (signal.aborted || this.#hasEnded) return resolve();
      this.#watchers.add(done);
      signal.addEventListener("abort", done);
    });
  }

  #wake(): void {
    for (const wake of [...this.#watchers]) wake();
  }
}

/** `services`: full names of those on the same socket. */
export function addHealth(
  router: ConnectRouter,
  health: Health,
  services: readonly string[],
): void {
  const known = new Set(["", ...services, HealthService.typeName]);
  const status = (): Status => (health.isServing ? Status.SERVING : Status.NOT_SERVING);

  async function* watch({ service }: { readonly service: string }, { signal }: HandlerContext) {
    let reported: Status | undefined;
    while (!signal.aborted) {
      const current = known.has(service) ? status() : Status.SERVICE_UNKNOWN;
      if (current !== reported) yield { status: current };
      reported = current;
      if (health.hasEnded) return;
      await health.changed(signal);
    }
  }

  router.service(HealthService, {
    check({ service }) {
      if (!known.has(service)) {
        throw new ConnectError(`no service "${service.slice(0, 100)}"`, Code.NotFound);
      }
      return { status: status() };
    },
    watch,
  });
}
