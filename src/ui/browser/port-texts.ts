/** Published ports in words, and as a call takes them. Pure. */
import { endpoint, type PortInfo } from "./model.ts";

/** What stands for all addresses of the host. */
const ALL = "*";

function withRange(text: string, first: number, count: number): string {
  return count > 1 ? `${text}-${first + count - 1}` : text;
}

/** Where it listens: `*:8080/tcp`, `[::1]:8000-8009/udp`. */
export function hostText({ host, hostPort, count, protocol }: PortInfo): string {
  return `${withRange(endpoint(host, hostPort), hostPort, count)}/${protocol}`;
}

/** Where it leads: `:80`, `10.0.2.20:80-89`. */
export function guestText({ guest, guestPort, count }: PortInfo): string {
  const first = guest === "" ? `:${guestPort}` : endpoint(guest, guestPort);
  return withRange(first, guestPort, count);
}

/** As `RemovePublished` takes it: the host's part of a rule, which names no address for all. */
export function ruleOf(port: PortInfo): string {
  return hostText(port).replace(`${ALL}:`, "");
}
