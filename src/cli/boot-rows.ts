/** Options of a guest that boots over the network. */
import { BOOT_CLIENTS, DNS6_CHOICES } from "../config/boot.ts";

/** Heading they stand under in the help. */
const BOOT = "Network boot:";

/** Their type is `OptionRow`. */
export const BOOT_ROWS = [
  {
    name: "boot-file",
    argument: "[CLIENT=]NAME",
    repeatable: true,
    description:
      "file that a guest boots, for one kind of client or for all others: " +
      `CLIENT is one of ${BOOT_CLIENTS} or the number of an architecture (option 93)`,
    group: BOOT,
  },
  {
    name: "next-server",
    argument: "ADDR",
    repeatable: true,
    description:
      "server that has the files, once for each version of IP (default: the gateway's address)",
    group: BOOT,
  },
  {
    name: "tftp",
    argument: "DIR",
    description: "serve the files below DIR by TFTP at the gateway's address, to be read only",
    group: BOOT,
  },
  {
    name: "boot-url",
    argument: "URL",
    repeatable: true,
    description:
      "URL for clients that boot by HTTP, and for iPXE where no file is for it; at most once for " +
      "each version of IP",
    group: BOOT,
  },
] as const;

/** Heading of the guest network. */
export function dns6Row(group: string) {
  return {
    name: "dns6",
    argument: DNS6_CHOICES.join("|"),
    description:
      "tell the guest of the IPv6 DNS address: where a resolver has IPv6 or IPv4 is not served, " +
      "in any case, or not at all (default auto)",
    group,
  };
}
