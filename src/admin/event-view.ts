/** Events as the admin service tells of them, and those who wait for the next one. */
import { create } from "@bufbuild/protobuf";
import type { EventKind as KindName } from "../binding/events.ts";
import type { EventLog, KeptEvent } from "./events.ts";
import {
  type Event,
  EventKind,
  EventSchema,
  type ListEventsRequest,
  type ListEventsResponse,
  ListEventsResponseSchema,
  type WatchEventsRequest,
} from "./gen/slirp_binding/admin/v1/admin_pb.js";

const KINDS: Readonly<Record<KindName, EventKind>> = {
  network_started: EventKind.NETWORK_STARTED,
  network_failed: EventKind.NETWORK_FAILED,
  network_restarted: EventKind.NETWORK_RESTARTED,
  network_ended: EventKind.NETWORK_ENDED,
  engine_replaced: EventKind.ENGINE_REPLACED,
  guest_attached: EventKind.GUEST_ATTACHED,
  guest_gone: EventKind.GUEST_GONE,
  lease_given: EventKind.LEASE_GIVEN,
  port_published: EventKind.PORT_PUBLISHED,
  port_removed: EventKind.PORT_REMOVED,
  port_left_out: EventKind.PORT_LEFT_OUT,
  limit_reached: EventKind.LIMIT_REACHED,
  resolvers_changed: EventKind.RESOLVERS_CHANGED,
  capture_started: EventKind.CAPTURE_STARTED,
  capture_stopped: EventKind.CAPTURE_STOPPED,
  log_level_changed: EventKind.LOG_LEVEL_CHANGED,
  check_failed: EventKind.CHECK_FAILED,
};

export function listEvents(events: EventLog, { afterId }: ListEventsRequest): ListEventsResponse {
  return create(ListEventsResponseSchema, { events: events.after(Number(afterId)).map(view) });
}

/** Those after an id, then each as it happens; a slow watcher gets what is still kept. */
export async function* watchEvents(
  events: EventLog,
  { afterId }: WatchEventsRequest,
  signal: AbortSignal,
): AsyncGenerator<Event> {
  let latest = Number(afterId);
  let wake = (): void => {};
  const unsubscribe = events.subscribe(() => wake());
  const onAbort = (): void => wake();
  signal.addEventListener("abort", onAbort);
  try {
    while (!signal.aborted) {
      // Before it is looked, so that nothing falls between.
      const news = new Promise<void>((resolve) => {
        wake = resolve;
      });
      for (const event of events.after(latest)) {
        latest = event.id;
        yield view(event);
      }
      await news;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    unsubscribe();
  }
}

function view({ id, time, network, kind, message, details }: KeptEvent): Event {
  return create(EventSchema, {
    id: BigInt(id),
    timeUs: BigInt(time),
    network,
    kind: KINDS[kind],
    message,
    details: { ...details },
  });
}
