/** Why a port cannot be published. */
import { formatHost, type PublishRule } from "../config/publish-rule.ts";
import { EACCES, EADDRINUSE, SystemError } from "../sys/errno.ts";
import type { Ports } from "./port-sockets.ts";

const REMEDIES: Readonly<Record<number, string>> = {
  [EACCES]: "lower net.ipv4.ip_unprivileged_port_start, or start with CAP_NET_BIND_SERVICE",
  [EADDRINUSE]: "another program has it: choose another host port",
};

export class PortError extends SystemError {
  readonly ports: Ports;

  /** @param isRefused nothing else is done about it, so that the message has to say what can be */
  constructor(rule: PublishRule, ports: Ports, errno: number, isRefused: boolean) {
    const port = `${formatHost(rule)}:${ports.hostPort}/${rule.protocol}`;
    super(`Publish port "${port}"`, errno, isRefused ? REMEDIES[Math.abs(errno)] : undefined);
    this.ports = ports;
  }
}
