/** A flow of the engine as the admin service tells of it. */
import { create } from "@bufbuild/protobuf";
import type { LocalName } from "../binding/requests.ts";
import type { ListedFlow } from "../engine/flow-page.ts";
import type { FlowKind as EngineFlowKind } from "../engine/flows.ts";
import type { FlowValues } from "./flow-octets.ts";
import { type Flow, FlowKind, FlowSchema, Waiting } from "./gen/slirp_binding/admin/v1/admin_pb.js";

const KINDS: Readonly<Record<EngineFlowKind, FlowKind>> = {
  tcp: FlowKind.TCP,
  udp: FlowKind.UDP,
  ping: FlowKind.PING,
  dns: FlowKind.DNS,
};

/** As plain values, which `flowMessage` and `FlowWriter` make messages of. */
export function viewFlow(
  network: string,
  flow: ListedFlow,
  local: LocalName | undefined,
): FlowValues {
  const { tcp, texts } = flow;
  return {
    network,
    id: flow.handle,
    kind: KINDS[flow.kind],
    state: flow.state ?? "",
    guestAddress: texts.guest,
    guestPort: flow.guestPort,
    // What has no connection may speak with several; the record has the last one, or none.
    peerAddress: flow.peerAddress === 0 ? "" : texts.peer,
    peerPort: flow.peerPort,
    localAddress: local?.address ?? "",
    localPort: local?.port ?? 0,
    hostAddress: flow.hostAddress === 0 ? "" : texts.host,
    hostPort: flow.hostPort,
    isInbound: flow.isInbound,
    bytesToHost: flow.bytesToHost,
    bytesToGuest: flow.bytesToGuest,
    ageUs: flow.age,
    idleUs: Math.round(flow.idle),
    rttUs: tcp?.srtt ?? 0,
    windowForGuest: tcp?.windowForGuest ?? 0,
    windowOfGuest: tcp?.windowOfGuest ?? 0,
    congestionWindow: tcp?.cwnd ?? 0,
    inFlight: tcp?.inFlight ?? 0,
    retransmits: tcp?.resent ?? 0,
    waiting: waitingOf(flow),
  };
}

export function flowMessage(flow: FlowValues): Flow {
  return create(FlowSchema, {
    ...flow,
    bytesToHost: BigInt(flow.bytesToHost),
    bytesToGuest: BigInt(flow.bytesToGuest),
    ageUs: BigInt(flow.ageUs),
    idleUs: BigInt(flow.idleUs),
  });
}

/** What it waits for, seen from outside: the first that holds. */
function waitingOf(flow: ListedFlow): Waiting {
  const { state, tcp } = flow;
  if (tcp === undefined) return Waiting.UNSPECIFIED;
  switch (state) {
    case "CONNECTING":
      return Waiting.CONNECT;
    case "SYN_SENT":
    case "SYN_RECEIVED":
      return Waiting.GUEST_ACCEPT;
    case "TIME_WAIT":
      return Waiting.TIME_WAIT;
  }
  if (tcp.isBlocked || tcp.held > 0) return Waiting.HOST_WRITE;
  if (isWindowClosed(state, tcp)) return Waiting.GUEST_WINDOW;
  if (tcp.inFlight > 0) return Waiting.GUEST_ACK;
  if (state === "FIN_WAIT_2") return Waiting.GUEST_CLOSE;
  if (state === "CLOSE_WAIT") return Waiting.HOST_CLOSE;
  return Waiting.IDLE;
}

/**
 * The guest takes nothing more. Nothing needs to be under way for that: while its window is shut,
 * the far side's socket is not read. One that is open a little is as good as shut where payload
 * stays here although all that was sent is acknowledged (RFC 9293 §3.8.6.2.1).
 */
function isWindowClosed(state: ListedFlow["state"], tcp: NonNullable<ListedFlow["tcp"]>): boolean {
  const { windowOfGuest, sending, inFlight } = tcp;
  const maySend = state === "ESTABLISHED" || state === "CLOSE_WAIT";
  if (maySend && windowOfGuest === 0) return true;
  return sending > 0 && (inFlight === 0 || inFlight >= windowOfGuest);
}
