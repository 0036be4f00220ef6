/**
 * What `doctor` checks: pure judgements of facts. Each says what is so; where something will not
 * work, why that matters and the one command that mends it.
 */
import { quote } from "../config/errors.ts";
import { MEMORY_FIXED } from "../config/limits.ts";
import { parseResolvConf } from "../config/resolv.ts";
import type { Facts, Wishes } from "./facts.ts";
import type { Finding } from "./finding.ts";

const MIB = 1 << 20;
/** A sidecar that KubeVirt pins has this much (virt-controller's defaults). */
const MEMORY_USUAL = 64 * MIB;
/** Descriptors for the program itself, its log, hooks and files. */
const DESCRIPTORS_OWN = 64;
/** RFC 8200 §5: what every IPv6 link carries. */
const MTU_IPV6_MIN = 1280;
/** Of a kernel that nobody has told otherwise. */
const PORT_START_DEFAULT = 1024;
const SLOW_ms = 1000;
const LOOPBACK = /^(?:127\.|::1$)/;

type Check = (facts: Facts, wishes: Wishes) => Omit<Finding, "check"> | undefined;

const ok = (what: string): Omit<Finding, "check"> => ({ severity: "ok", what });

/** In the order of the report. */
const CHECKS: Readonly<Record<string, Check>> = {
  runtime: ({ hasSystemCalls }) =>
    hasSystemCalls
      ? ok("the runtime makes system calls")
      : {
          severity: "error",
          what: "this runtime makes no system calls",
          why: "links and host sockets are system calls; without them QEMU carries all frames",
          mend: "start dist/slirp-binding, or run src/main.ts by bun or deno",
        },
  tun: ({ tunProblem }) =>
    tunProblem === undefined
      ? ok("/dev/net/tun can be opened")
      : {
          severity: "warning",
          what: `/dev/net/tun cannot be opened (${tunProblem})`,
          why: '"run" and "attach --tap" need it; sockets, vhost-user and "serve" do not',
          mend:
            tunProblem === "ENOENT"
              ? "modprobe tun (in a container: --device /dev/net/tun)"
              : "chmod 666 /dev/net/tun",
        },
  ping: ({ mayPing, pingGroups, gid }) => {
    if (mayPing !== false) return ok("guests can ping beyond the gateway");
    const range = pingGroups?.join(" ") ?? "not there";
    return {
      severity: "warning",
      what: "guests cannot ping beyond the gateway",
      why: `net.ipv4.ping_group_range is "${range}" and leaves out group ${gid}`,
      mend: `sysctl -w net.ipv4.ping_group_range="${gid} ${gid}"`,
    };
  },
  ports: ({ portStart = PORT_START_DEFAULT, mayBindAny }, { lowestPort }) => {
    if (mayBindAny || portStart <= 1) return ok("every port can be published");
    if (lowestPort === undefined || lowestPort >= portStart) {
      return { severity: "note", what: `ports from ${portStart} on can be published` };
    }
    return {
      severity: "error",
      what: `port ${lowestPort} cannot be published`,
      why: `net.ipv4.ip_unprivileged_port_start is ${portStart}`,
      mend: `sysctl -w net.ipv4.ip_unprivileged_port_start=${lowestPort}`,
    };
  },
  descriptors: ({ descriptors }, { flowsMax, publishedSockets }) => {
    const needed = flowsMax + publishedSockets + DESCRIPTORS_OWN;
    if (descriptors === undefined) return undefined;
    if (descriptors >= needed) return ok(`${descriptors} file descriptors are enough`);
    return {
      severity: "warning",
      what: `${descriptors} file descriptors are too few for ${flowsMax} flows`,
      why: "flows beyond them push out idle ones",
      mend: `ulimit -Hn ${needed} (LimitNOFILE=${needed} of a systemd unit)`,
    };
  },
  resolvers: checkResolvers,
  search: ({ resolvConf = "" }) => {
    const { search } = parseResolvConf(resolvConf);
    if (!search.includes(".")) return ok("the search list can be given to guests");
    return {
      severity: "note",
      what: 'resolv.conf has "search ."',
      why: "the root is no domain to search in, so guests are not told of it",
    };
  },
  ipv6: ({ isIpv6Off, hasIpv6Route }) => {
    if (hasIpv6Route) return ok("IPv6 leads out");
    return {
      severity: "note",
      what: isIpv6Off ? "IPv6 is switched off" : "there is no default route of IPv6",
      why: "guests get an IPv6 address all the same, and their connections by it are refused",
      mend: "give --no-ipv6, and guests do not try",
    };
  },
  mtu: ({ interfaces, hasIpv6Route }) => {
    const outward = interfaces.filter(({ isUp, isLoopback }) => isUp && !isLoopback);
    const [smallest] = [...outward].sort((a, b) => a.mtu - b.mtu);
    if (smallest === undefined) {
      return {
        severity: "warning",
        what: "no interface but loopback is up",
        why: "guests reach this machine's loopback at most",
        mend: "ip link set IFACE up",
      };
    }
    if (smallest.mtu >= MTU_IPV6_MIN || !hasIpv6Route) {
      return ok(`the smallest MTU outwards is ${smallest.mtu}; a guest's own may be larger`);
    }
    return {
      severity: "warning",
      what: `interface ${quote(smallest.name)} has an MTU of ${smallest.mtu}`,
      why: `IPv6 needs ${MTU_IPV6_MIN}: its connections by that interface fail`,
      mend: `ip link set ${smallest.name} mtu ${MTU_IPV6_MIN}`,
    };
  },
  clock: ({ clock_ms, built_ms }) => {
    if (built_ms === undefined || clock_ms >= built_ms) return ok("the clock is plausible");
    return {
      severity: "warning",
      what: `the clock says ${new Date(clock_ms).toISOString()}, before this program was made`,
      why: "captures, logs and certificates go wrong, in guests too that take their time from here",
      mend: "timedatectl set-ntp true",
    };
  },
  seccomp: ({ seccompMode, missingFeatures }) => {
    const filter =
      seccompMode === 2 ? "a seccomp filter holds for this process" : "no seccomp filter";
    if (missingFeatures.length === 0) return ok(`${filter}; all that is of use is allowed`);
    return {
      severity: "note",
      what: `not to be had: ${missingFeatures.join(", ")}`,
      why: `it works without, more slowly (${filter})`,
      mend: "run with the profile deploy/seccomp.json, or on Linux 5.11 or later",
    };
  },
  memory: ({ memoryLimit }) => {
    if (memoryLimit === undefined) return ok("memory has no limit of its own");
    const { octets, source } = memoryLimit;
    const has = `memory is limited to ${Math.floor(octets / MIB)} MiB (${source})`;
    if (octets >= MEMORY_USUAL) return ok(has);
    return {
      severity: octets < MEMORY_FIXED ? "error" : "warning",
      what: has,
      why: "the program needs 34 MiB for itself, and 4.5 KiB for each flow",
      mend: "raise it to 64 MiB at least; KubeVirt: deploy/resources.yaml",
    };
  },
  hooks: ({ hooksFolder: { path, isWritable } }) => {
    if (isWritable === undefined)
      return { severity: "note", what: `there is no ${path}: no sidecar` };
    if (isWritable) return ok(`hook sockets can be made in ${path}`);
    return {
      severity: "error",
      what: `${path} cannot be written to`,
      why: "virt-launcher finds the sidecar by a socket there, and waits for it",
      mend: `chown :107 ${path}; chmod g+w ${path}`,
    };
  },
};

/** All that the facts tell, in the order of the report. */
export function judge(facts: Facts, wishes: Wishes): Finding[] {
  return Object.entries(CHECKS).flatMap(([check, judged]) => {
    const found = judged(facts, wishes);
    return found === undefined ? [] : [{ check, ...found }];
  });
}

/**
 * What a program that runs is warned of: what is certain, and what nothing else has told it. A port
 * that cannot be had, descriptors and memory that are few, pings that are not allowed show at its
 * start; a resolv.conf that names nobody, or may not be read, is told by who follows it.
 */
export function judgeRunning(facts: Facts): Finding[] {
  const { resolvers, mtu, clock } = CHECKS;
  const known = facts.resolvers.length === 0 ? { mtu, clock } : { resolvers, mtu, clock };
  const none: Wishes = { flowsMax: 0, publishedSockets: 0, lowestPort: undefined };
  return Object.entries(known).flatMap(([check, judged]) => {
    const found = judged?.(facts, none);
    const isProblem = found?.severity === "warning" || found?.severity === "error";
    return isProblem ? [{ check, ...found }] : [];
  });
}

function checkResolvers({ resolvConf, resolvers }: Facts): Omit<Finding, "check"> {
  if (resolvers.length === 0) {
    return {
      severity: "warning",
      what:
        resolvConf === undefined ? "resolv.conf cannot be read" : "resolv.conf names no resolver",
      why: "guests' DNS queries are answered SERVFAIL",
      mend: "give --dns ADDRESS, or a nameserver line in /etc/resolv.conf",
    };
  }
  const silent = resolvers.filter(({ answered_ms }) => answered_ms === undefined);
  const names = silent.map(({ address }) => address).join(", ");
  if (silent.length === resolvers.length) {
    const isLocal = silent.some(({ address }) => LOOPBACK.test(address));
    return {
      severity: "error",
      what: `no resolver answers: ${names}`,
      why: isLocal
        ? "a resolver on loopback is one of this network namespace, and it is not running here"
        : "guests cannot resolve names",
      mend: `give --dns ADDRESS of one that answers (try: dig @ADDRESS example.com)`,
    };
  }
  if (silent.length > 0) {
    return {
      severity: "warning",
      what: `a resolver does not answer: ${names}`,
      why: "guests' queries wait for it before the next one is asked",
      mend: "take it out of /etc/resolv.conf, or give --dns",
    };
  }
  const slowest = Math.max(...resolvers.map(({ answered_ms = 0 }) => answered_ms));
  if (slowest < SLOW_ms) return ok(`${resolvers.length} of ${resolvers.length} resolvers answer`);
  return {
    severity: "note",
    what: `a resolver takes ${Math.round(slowest)} ms`,
    why: "guests wait as long for names",
  };
}
