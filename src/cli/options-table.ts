/**
 * Every option that exists, once: the command line, the environment and the help are all made from
 * these rows. A row only says how an option looks; how its text is read is in `src/config`.
 *
 * A new command is a new list here (shared rows are shared by reference) and an entry in `COMMANDS`
 * of `options.ts`.
 */
import { DEFAULTS, LIMITS } from "../config/config.ts";
import { DEMO_GUESTS, DEMO_LINKS, DEMO_SIZE_DEFAULT, DEMO_SIZE_LIMITS } from "../config/demo.ts";
import { ENDPOINT_FORM } from "../config/endpoint.ts";
import { PUBLISH_COUNT_MAX } from "../config/forward.ts";
import { LINK_CHOICES } from "../config/hook-settings.ts";
import { ATTACH_HOST_SIDE, SERVE_HOST_SIDE } from "../config/host-side.ts";
import { KUBEVIRT_QEMU_UID, PEER_UID_FORM } from "../config/peers.ts";
import { NAMESERVER_COUNT_MAX, RESOLV_CONF_PATH } from "../config/resolv.ts";
import { USER_FORM } from "../config/rights.ts";
import {
  ABANDON_SECONDS_DEFAULT,
  ABANDON_SECONDS_LIMITS,
  GRACE_SECONDS_DEFAULT,
  GRACE_SECONDS_LIMITS,
  HOOKS_DIR_DEFAULT,
  PLUGIN_DIR_DEFAULT,
} from "../config/serve.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../lib/log.ts";
import { BOOT_ROWS, dns6Row } from "./boot-rows.ts";
import { HOST, reachRows } from "./host-rows.ts";
import { LIMIT_ROWS, ROOM_ROWS, range } from "./limit-rows.ts";
import type { OptionRow } from "./option-row.ts";

const HOOKS = "Hook sockets:";
const LINK = "Link, one of --tap, --listen and --connect:";
const NETWORK = "Guest network:";
const RUN = "Running:";

const LINK_ROWS: readonly OptionRow[] = [
  {
    name: "tap",
    argument: "NAME",
    description: "tap interface, made if it does not exist",
    group: LINK,
  },
  {
    name: "listen",
    argument: ENDPOINT_FORM,
    description:
      "stream socket that QEMU connects to, one at a time (unix:@NAME is abstract; port 0 is any)",
    group: LINK,
  },
  {
    name: "connect",
    argument: ENDPOINT_FORM,
    description: "stream socket that QEMU listens on; tried again until it does",
    group: LINK,
  },
  {
    name: "netns",
    argument: "NAME|PATH|PID",
    description:
      'network namespace the tap is in, by name as "ip netns" has it, by file or by a process in ' +
      "it (default: own); it all ends when that is gone",
    group: LINK,
  },
  {
    name: "configure",
    description: "bring the tap up in that namespace with the guest's addresses and default routes",
    group: LINK,
  },
  {
    name: "no-vnet",
    description: "do without the virtio-net header and its offloads",
    group: LINK,
  },
];

const PEER_UID_ROW: OptionRow = {
  name: "peer-uid",
  argument: PEER_UID_FORM,
  repeatable: true,
  description:
    "user that may be at the other end of the stream socket, besides the program's own; root " +
    "has to be named, too",
  group: LINK,
};

const DNS_ROW: OptionRow = {
  name: "dns",
  argument: "ADDR",
  repeatable: true,
  description:
    `resolver behind the guest's DNS address, up to ${NAMESERVER_COUNT_MAX} times ` +
    `(default: those of ${RESOLV_CONF_PATH})`,
  group: NETWORK,
};

const DNS_PORT_ROW: OptionRow = {
  name: "dns-port",
  argument: "N",
  description: `port the resolvers take queries at, ${range(LIMITS.dnsPort, DEFAULTS.dnsPort)}`,
  group: NETWORK,
};

const NETWORK_ROWS: readonly OptionRow[] = [
  {
    name: "cidr",
    argument: "A.B.C.D/N",
    description:
      "guest network, /8 to /29: gateway is its address + 2, DNS + 3, guest + 15 " +
      `(+ 4 in /28 and /29) (default ${DEFAULTS.cidr})`,
    group: NETWORK,
  },
  {
    name: "cidr6",
    argument: "PREFIX/N",
    description:
      "guest network of IPv6, /8 to /126: gateway is its address + 1, guest + 2, DNS + 3; guests " +
      `make addresses of their own in a /64 (default ${DEFAULTS.cidr6})`,
    group: NETWORK,
  },
  {
    name: "no-ipv4",
    description: "serve IPv6 only",
    group: NETWORK,
  },
  {
    name: "no-ipv6",
    description: "serve IPv4 only, as with an MTU below 1280",
    group: NETWORK,
  },
  {
    name: "mtu",
    argument: "N",
    description: `octets of an IP packet, ${range(LIMITS.mtu, DEFAULTS.mtu)}`,
    group: NETWORK,
  },
  {
    name: "mac",
    argument: "ADDR",
    description: "MAC of the gateway (default 52:55 and its IPv4 address, 52:55:0a:00:02:02)",
    group: NETWORK,
  },
  {
    name: "hostname",
    argument: "NAME",
    description: "host name the guest gets by DHCP",
    group: NETWORK,
  },
  DNS_ROW,
  DNS_PORT_ROW,
  dns6Row(NETWORK),
  {
    name: "search",
    argument: "DOMAIN",
    repeatable: true,
    description: `search domain the guest gets by DHCP (default: those of ${RESOLV_CONF_PATH})`,
    group: NETWORK,
  },
];

const HOST_ROWS: readonly OptionRow[] = [
  {
    name: "publish",
    argument: "RULE",
    repeatable: true,
    description:
      "lead host ports to the guest: [HOSTIP:]PORT[-PORT]:[GUESTIP:]GUESTPORT, /tcp or /udp " +
      "behind, IPv6 in brackets; a range goes to as many " +
      "guest ports from GUESTPORT on; tcp, all host addresses and whichever address the guest " +
      "uses unless said; it answers while a guest is there; " +
      `at most ${PUBLISH_COUNT_MAX} ports and ranges (default: none)`,
    group: HOST,
  },
  ...reachRows(ATTACH_HOST_SIDE),
  {
    name: "strict-filter",
    description: "short for --udp-filter address-dependent",
    group: HOST,
  },
];

const READY_ROW: OptionRow = {
  name: "ready-fd",
  argument: "N",
  description: "file descriptor that gets one byte when ready",
  group: RUN,
};

const EXIT_ROW: OptionRow = {
  name: "exit-fd",
  argument: "N",
  description: "file descriptor of a pipe or socket; it all ends when its other end is closed",
  group: RUN,
};

const PCAP_ROW: OptionRow = {
  name: "pcap",
  argument: "FILE",
  description:
    "write every frame to a capture file, or to a FIFO that is there and whose readers come and go",
  group: RUN,
};

const PCAP_SNAP_ROW: OptionRow = {
  name: "pcap-snap",
  argument: "N",
  description: `octets of a frame kept in it, ${range(LIMITS.pcapSnap, DEFAULTS.pcapSnap)}`,
  group: RUN,
};

const PCAP_LIMIT_ROW: OptionRow = {
  name: "pcap-limit",
  argument: "MIB",
  description: "size at which the capture ends while traffic goes on (default none)",
  group: RUN,
};

const RECORD_ROW: OptionRow = {
  name: "record",
  argument: "FILE",
  description:
    'record all that goes into the engine, for "replay"; a file that is there is kept as FILE.old',
  group: RUN,
};

const RECORD_LIMIT_ROW: OptionRow = {
  name: "record-limit",
  argument: "MIB",
  description:
    "size at which a recording ends, in MiB, " +
    range(LIMITS.recordLimitMib, DEFAULTS.recordLimitMib),
  group: RUN,
};

const RIGHTS_ROWS: readonly OptionRow[] = [
  {
    name: "user",
    argument: USER_FORM,
    description:
      "who to be once it runs, by numbers, root or nobody; without any capability in any case " +
      "(default: nobody for root if that will do, else as started)",
    group: RUN,
  },
  {
    name: "no-seccomp",
    description: "load no filter of system calls",
    group: RUN,
  },
];

const LOG_ROWS: readonly OptionRow[] = [
  {
    name: "log-level",
    argument: LOG_LEVELS.join("|"),
    description: `least level that is logged (default ${DEFAULTS.logLevel})`,
    group: RUN,
  },
  {
    name: "log-format",
    argument: LOG_FORMATS.join("|"),
    description: "form of the log on standard error (default pretty on a terminal, else json)",
    group: RUN,
  },
];

const RUN_ROWS: readonly OptionRow[] = [
  READY_ROW,
  EXIT_ROW,
  ...RIGHTS_ROWS,
  PCAP_ROW,
  PCAP_SNAP_ROW,
  PCAP_LIMIT_ROW,
  RECORD_ROW,
  RECORD_LIMIT_ROW,
  ...LOG_ROWS,
  {
    name: "seed",
    argument: "HEX",
    description: "64 hex digits that all identifiers derive from, for tests (default: random)",
    group: RUN,
  },
];

/** Options of every command that runs a guest network. */
const COMMON_ROWS: readonly OptionRow[] = [
  ...NETWORK_ROWS,
  ...BOOT_ROWS,
  ...HOST_ROWS,
  ...LIMIT_ROWS,
  ...RUN_ROWS,
];

export const ATTACH_ROWS: readonly OptionRow[] = [...LINK_ROWS, PEER_UID_ROW, ...COMMON_ROWS];

/** What stands below the options of `attach`. */
export const ATTACH_EPILOGUE = `
Environment:
  Every option is also a variable: --udp-timeout is SLIRP_UDP_TIMEOUT. An argument wins over its
  variable, an empty variable counts as absent. Flags take 1 or 0, options that may be repeated
  take several values separated by commas: SLIRP_PUBLISH=8080:80,5353:53/udp

Examples:
  A namespace by name, with the DNS address for the programs in it:
    ip netns add blue
    mkdir -p /etc/netns/blue && echo nameserver 10.0.2.3 >/etc/netns/blue/resolv.conf
    slirp-binding attach --tap tap0 --netns /run/netns/blue --configure

  A virtual machine, by a stream socket (QEMU 7.2 or later):
    slirp-binding attach --listen unix:/run/vm.sock --publish 2222:22 &
    qemu-system-x86_64 … -device virtio-net-pci,netdev=n \\
      -netdev stream,id=n,server=off,addr.type=unix,addr.path=/run/vm.sock

  The same by loopback TCP (any QEMU), for a card that cannot do large frames:
    slirp-binding attach --listen tcp:127.0.0.1:4711 --mtu 1500 &
    qemu-system-x86_64 … -device e1000,netdev=n -netdev socket,id=n,connect=127.0.0.1:4711

  Coming from slirp4netns:
    slirp4netns --configure --mtu=65520 --disable-host-loopback --ready-fd=3 PID tap0
    slirp-binding attach --tap tap0 --netns PID --configure --ready-fd 3
      (the host's loopback is out of reach unless --host-loopback, its other addresses
      are in reach unless --host-address refuse, --cidr is the same, and add_hostfwd of
      the API socket is --publish)

  Coming from pasta:
    pasta --config-net --tcp-ports 8080:80 --udp-ports 5353:53 --netns /run/netns/blue
    slirp-binding attach --tap tap0 --netns /run/netns/blue --configure \\
      --publish 8080:80 --publish 5353:53/udp
      (--map-host-loopback is --host-loopback, --dns-forward is always on at the DNS address,
      and the guest has the addresses of --cidr, not the host's)`;

const HOOK_ROWS: readonly OptionRow[] = [
  {
    name: "hooks-dir",
    argument: "DIR",
    description:
      "folder that virt-launcher watches for hook sockets " +
      `(default ${HOOKS_DIR_DEFAULT} if it exists)`,
    group: HOOKS,
  },
  {
    name: "plugin-dir",
    argument: "DIR",
    description:
      "folder for slirp.sock, the socket of a Plugin resource " +
      `(default ${PLUGIN_DIR_DEFAULT} if it exists)`,
    group: HOOKS,
  },
  {
    name: "grace",
    argument: "SECONDS",
    description:
      "time that guests still attached are served after SIGTERM, " +
      range(GRACE_SECONDS_LIMITS, GRACE_SECONDS_DEFAULT),
    group: HOOKS,
  },
  {
    name: "abandon",
    argument: "SECONDS",
    description:
      "time without hook call and guest after which it ends by itself, 0 for never, " +
      range(ABANDON_SECONDS_LIMITS, ABANDON_SECONDS_DEFAULT),
    group: HOOKS,
  },
];

const PLAN_ROWS: readonly OptionRow[] = [
  {
    name: "link",
    argument: LINK_CHOICES.join("|"),
    description: "how QEMU and the data plane are joined (default auto)",
    group: NETWORK,
  },
  {
    name: "cidr",
    argument: "A.B.C.D/N",
    description: `network of a guest whose VM names none (default ${DEFAULTS.cidr})`,
    group: NETWORK,
  },
  {
    name: "mtu",
    argument: "N",
    description:
      `octets of an IP packet, ${LIMITS.mtu[0]} to ${LIMITS.mtu[1]} ` +
      "(default: as the network card allows)",
    group: NETWORK,
  },
];

export const SERVE_ROWS: readonly OptionRow[] = [
  ...HOOK_ROWS,
  ...PLAN_ROWS,
  {
    ...PEER_UID_ROW,
    description:
      "user that may be at the other end of a link, besides the program's own " +
      `(default ${KUBEVIRT_QEMU_UID}, as which KubeVirt runs QEMU)`,
    group: NETWORK,
  },
  DNS_ROW,
  DNS_PORT_ROW,
  // The pod's, where other containers may have their services.
  ...reachRows(SERVE_HOST_SIDE),
  ...ROOM_ROWS,
  READY_ROW,
  ...RIGHTS_ROWS,
  PCAP_ROW,
  PCAP_SNAP_ROW,
  PCAP_LIMIT_ROW,
  {
    ...RECORD_ROW,
    description: 'record all that goes into the engines, for "replay", in FILE.IFACE',
  },
  RECORD_LIMIT_ROW,
  ...LOG_ROWS,
];

/** What stands below the options of `serve`. */
export const SERVE_EPILOGUE = `
Environment:
  Every option is also a variable: --hooks-dir is SLIRP_HOOKS_DIR. An argument wins over its
  variable, an empty variable counts as absent. There are variables alone for the image's owner:
    SLIRP_ALLOW_ANNOTATIONS=0    VMs may not choose link and MTU by annotation
    SLIRP_LOOPBACK_PORT=N        first TCP port of the link "client"
  KubeVirt sets CONTAINER_NAME, which is part of the socket's name, and
  NETWORK_BINDING_PLUGIN_NAME, the binding that is served (default slirp).

The program ends with code 0 at the Shutdown hook, at SIGINT, and at SIGTERM as soon as no guest
is attached any more.`;

/** What stands below the options of `replay`. */
export const REPLAY_EPILOGUE = `
A recording is made with "attach --record FILE" or "serve --record FILE". It holds the traffic of
the guest: keep it as carefully.

Ends with code 0 when all that came out of the engine is equal to what was recorded, with 1 at the
first difference, which is printed, or for a file that is damaged.`;

const DEMO = "Demonstration:";

export const DEMO_ROWS: readonly OptionRow[] = [
  {
    name: "guest",
    argument: DEMO_GUESTS.join("|"),
    description:
      "a network stack of our own, or Linux under QEMU, whose kernel is fetched (default sim)",
    group: DEMO,
  },
  {
    name: "link",
    argument: DEMO_LINKS.join("|"),
    description: "how guest and data plane are joined (default client)",
    group: DEMO,
  },
  {
    name: "size",
    argument: "MIB",
    description: `MiB that go each way, ${range(DEMO_SIZE_LIMITS, DEMO_SIZE_DEFAULT)}`,
    group: DEMO,
  },
  {
    name: "cache",
    argument: "DIR",
    description: "where kernel and busybox for QEMU are kept (default ~/.cache/slirp-binding/qemu)",
    group: DEMO,
  },
  {
    name: "pcap",
    argument: "FILE",
    description: "where the frames are written to (default a file in the temporary folder)",
    group: DEMO,
  },
];

/** What stands below the options of `demo`. */
export const DEMO_EPILOGUE = `
Ends with code 0 when every step held, else with 1.`;
