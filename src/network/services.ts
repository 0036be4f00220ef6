/**
 * Services of this very program, at addresses of the guest's world: a connection to one of them
 * goes no further than here.
 */
import { NO_UPSTREAM, refused } from "./no-upstream.ts";
import { type Connection, StreamPair } from "./stream-pair.ts";
import type { Endpoint, TcpEvents, TcpSocket, TcpTarget, Upstream } from "./upstream.ts";

/** Something that takes connections. */
export interface Service extends Endpoint {
  /**
   * Takes a connection of the guest. What it throws, or rejects with, resets the connection.
   * @param target where the guest went to
   */
  serve(connection: Connection, target: TcpTarget): unknown;
}

/**
 * An upstream with services before it.
 * @param beyond what is for none of them goes there; absent: it is refused
 */
export function withServices(
  services: readonly Service[],
  beyond: Upstream = NO_UPSTREAM,
): Upstream {
  const found = new Map(services.map((service) => [keyOf(service), service]));
  const own = (target: TcpTarget, events: TcpEvents): TcpSocket => {
    const service = found.get(keyOf(target));
    return service === undefined
      ? beyond.connect(target, events)
      : connected(service, target, events);
  };
  return {
    ...(beyond.families === undefined ? {} : { families: beyond.families }),
    connect: own,
    openUdp: (options, events) => beyond.openUdp(options, events),
    ...(beyond.ping && { ping: beyond.ping.bind(beyond) }),
    ...(beyond.resolve && { resolve: beyond.resolve.bind(beyond) }),
    close: () => beyond.close(),
  };
}

function connected(service: Service, target: TcpTarget, events: TcpEvents): TcpSocket {
  const pair = new StreamPair();
  const { connection } = pair;
  try {
    pair.open(events);
    Promise.resolve(service.serve(connection, target)).catch(() => connection.abort());
    return pair;
  } catch {
    return refused(events);
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
