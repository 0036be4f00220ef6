/**
 * The calls of `proto/`, each in a file of its own, and how many of them there may be: WATCHERS_MAX
 * calls that last are served at a time; a caller that goes ends its call, as does the end of the
 * program.
 */
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { capture, listCaptures, startCapture, stopCapture } from "./captures.ts";
import { listDrops } from "./drops.ts";
import { listEvents, watchEvents } from "./event-view.ts";
import { listFlows, watchFlows } from "./flows.ts";
import { AdminService } from "./gen/slirp_binding/admin/v1/admin_pb.js";
import { getInstance } from "./instance.ts";
import { getLogLevel, setLogLevel, watchLog } from "./log-calls.ts";
import type { AdminProgram } from "./program.ts";
import { addPublished, listPublished, removePublished } from "./published.ts";
import { refusalOf } from "./refusals.ts";
import { getStats, watchStats } from "./stats.ts";

const WATCHERS_MAX = 16;

/** Adds the service to a router. */
export function addAdminService(router: ConnectRouter, program: AdminProgram): void {
  const watchers = new Watchers();
  router.service(AdminService, {
    getInstance: () => answered(getInstance(program)),
    listFlows: (request, { requestHeader }) =>
      answered(listFlows(program, request, isJson(requestHeader))),
    watchFlows: (request, { signal }) => watchers.admit(watchFlows(program, request, signal)),
    getStats: (request) => answered(getStats(program, request)),
    watchStats: (request, { signal }) => watchers.admit(watchStats(program, request, signal)),
    listDrops: (request) => answered(listDrops(program, request)),
    capture: (request, { signal }) => watchers.admit(capture(program, request, signal)),
    startCapture: (request) => answered(startCapture(program, request)),
    stopCapture: (request) => answered(stopCapture(program, request)),
    listCaptures: () => answered(listCaptures(program)),
    listEvents: (request) => listEvents(program.events, request),
    listPublished: (request) => answered(listPublished(program, request)),
    addPublished: (request) => answered(addPublished(program, request)),
    removePublished: (request) => answered(removePublished(program, request)),
    watchEvents: (request, { signal }: HandlerContext) =>
      watchers.admit(watchEvents(program.events, request, signal)),
    watchLog: (request, { signal }) => watchers.admit(watchLog(program.logTail, request, signal)),
    getLogLevel: () => getLogLevel(program),
    setLogLevel: (request) => setLogLevel(program, request),
  });
}

/** Whether the caller is answered in JSON, as curl is. */
function isJson(header: Headers): boolean {
  return header.get("content-type")?.includes("json") === true;
}

async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw refusalOf(error);
  }
}

class Watchers {
  #count = 0;

  async *admit<T>(answers: AsyncIterable<T>): AsyncGenerator<T> {
    if (this.#count >= WATCHERS_MAX) {
      const message = `${WATCHERS_MAX} calls that last are served already`;
      throw new ConnectError(message, Code.ResourceExhausted);
    }
    this.#count += 1;
    try {
      yield* answers;
    } catch (error) {
      throw refusalOf(error);
    } finally {
      this.#count -= 1;
    }
  }
}
