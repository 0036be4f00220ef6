/** Why a port cannot be published. */
import { formatHost, type PublishRule } from "../config/publish-rule.ts";
import { EACCES, EADDRINUSE, SystemError } from "../sys/errno.ts";
import type { Ports } from "./port-sockets.ts";

/**
 * When it was refused: at the start, which it ends; at the start, which goes on without the port;
 * later, when rights have been given up.
 */
export type PortOccasion = "start" | "left-out" | "later";

const LOWER = "lower net.ipv4.ip_unprivileged_port_start";

export class PortError extends SystemError {
  readonly rule: PublishRule;
  readonly ports: Ports;

  /** @param owner who has the port, a clause, where that is the reason and known */
  constructor(
    rule: PublishRule,
    ports: Ports,
    errno: number,
    occasion: PortOccasion,
    owner?: string,
  ) {
    const port = `${formatHost(rule)}:${ports.hostPort}/${rule.protocol}`;
    super(`Publish port "${port}"`, errno, remedyOf(errno, occasion, owner));
    this.rule = rule;
    this.ports = ports;
  }

  /** The same with who has the port; it ends the start. */
  because(owner: string | undefined): PortError {
    return new PortError(this.rule, this.ports, -this.errno, "start", owner);
  }
}

function remedyOf(
  errno: number,
  occasion: PortOccasion,
  owner = "another program has it",
): string | undefined {
  if (occasion === "left-out") return undefined; // whoever logs it says what can be done
  if (errno === -EACCES) {
    return occasion === "start"
      ? `${LOWER}, or start with CAP_NET_BIND_SERVICE`
      : `rights were given up: ${LOWER}, or publish it from the start`;
  }
  return errno === -EADDRINUSE ? `${owner}: choose another host port` : undefined;
}
