/**
 * What a page can reach without sockets: TCP and UDP through a Wisp relay, names by HTTPS or the
 * relay, services of the page itself (`docs/web.md`).
 */
import { type Host, systemHost } from "../host.ts";
import { NO_UPSTREAM } from "../no-upstream.ts";
import { type Service, withServices } from "../services.ts";
import type { Upstream } from "../upstream.ts";
import { type Names, type Resolver, resolveOf } from "./names.ts";
import { Relay, type RelayOptions, type RelayStats } from "./relay.ts";
import { WispTcp } from "./wisp-tcp.ts";
import { WispUdp } from "./wisp-udp.ts";

export interface WebUpstreamOptions {
  /** Address of a Wisp relay, or that and more; absent: services are all there is. */
  readonly relay?: string | RelayOptions;
  /**
   * Who is asked for names: a server by HTTPS (`https://…`, RFC 8484), or a name server that the
   * relay reaches, by its IP address. Absent: whom the guest asks, as the network's settings say.
   */
  readonly resolver?: Resolver;
  /** Names and their addresses, answered here. With no `resolver` there are no others. */
  readonly names?: Names;
  readonly services?: readonly Service[];
  /** Versions of IP that the relay reaches. Default IPv4 alone. */
  readonly families?: readonly (4 | 6)[];
  /** Clock and timers; absent: those of this runtime. */
  readonly host?: Host;
}

export interface WebUpstream extends Upstream {
  /** What the relay has done; undefined = there is none. */
  relayStats(): RelayStats | undefined;
}

/** Throws `EngineError` CONFIG. */
export function webUpstream(options: WebUpstreamOptions): WebUpstream {
  const { relay: at, services = [], families = [4], host = systemHost() } = options;
  const relay =
    at === undefined ? undefined : new Relay(typeof at === "string" ? { url: at } : at, host);
  const beyond = relay === undefined ? NO_UPSTREAM : throughRelay(relay, host);
  const pending = new Set<AbortController>();
  const resolve = resolveOf(options, beyond, host, pending);
  const upstream = withServices(services, {
    ...beyond,
    families,
    ...(resolve === undefined ? {} : { resolve }),
    close: () => {
      for (const question of pending) question.abort();
      beyond.close();
    },
  });
  return { ...upstream, relayStats: () => relay?.stats };
}

function throughRelay(relay: Relay, host: Host): Upstream {
  return {
    connect: (target, events) => new WispTcp(relay, host, target, events),
    openUdp: (options, events) => new WispUdp(relay, host, options, events),
    close: () => relay.close(),
  };
}
