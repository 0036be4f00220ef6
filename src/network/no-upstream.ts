/** The upstream of a network that leads nowhere: connections are refused, datagrams are lost. */
import type { ErrorCode, TcpEvents, TcpSocket, UdpSocket, Upstream } from "./upstream.ts";

const REFUSED: TcpSocket = {
  send: () => 0,
  receive: () => 0,
  shutdown: () => {},
  close: () => {},
};

const SILENT: UdpSocket = {
  port: 0,
  send: () => false,
  receive: () => undefined,
  close: () => {},
};

/** A connection that nobody accepts, or that fails at once for another reason. */
export function refused(events: TcpEvents, code: ErrorCode = "ECONNREFUSED"): TcpSocket {
  events.failed(code);
  return REFUSED;
}

export const NO_UPSTREAM: Upstream = {
  connect: (_target, events) => refused(events),
  openUdp: () => SILENT,
  close: () => {},
};
