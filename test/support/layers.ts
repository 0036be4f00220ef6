/**
 * Who may import whom. Arrows point downwards only; a folder may always import itself.
 *
 * `mayImport` takes paths from the root of the project, as `src/loop/loop.ts`.
 */
import type { ImportKind } from "./source.ts";

const BASE = [
  ...["abi/index", "errno", "sockaddr", "layout", "memory", "ring", "stats", "timer", "prng"],
  ...["trap", "lent", "trace"],
];

/** Modules of `flow` without a protocol of their own, which the protocols build on. */
const FLOW_SHARED = [
  "table",
  "kinds",
  "nat",
  "evict",
  "holders",
  "parties",
  "shares",
  "limits",
  "neighbor",
  "whereabouts",
  "presence",
  "emit",
  "icmp-error",
  "icmp-notice",
  "outgoing",
  "resolvers",
  "addresses",
  "packet",
  "send",
].map((name) => `flow/${name}`);

/** Each group of engine modules and what it may import besides itself; `dir/` is a whole folder. */
const WASM: readonly (readonly [string, readonly string[]])[] = [
  ["abi", ["abi/"]],
  ["abi/", []],
  ["errno", []],
  ["sockaddr", []],
  ["trap", []],
  ["layout", ["abi/index"]],
  ["memory", ["abi/index", "layout", "trap"]],
  ["trace", ["abi/index", "memory"]],
  ["stats", ["abi/index", "layout", "memory", "trace", "trap"]],
  ["lent", ["abi/index", "memory"]],
  ["ring", ["abi/index", "sockaddr", "layout", "memory", "stats", "trap"]],
  ["timer", ["abi/index", "layout", "memory", "ring", "stats", "trap"]],
  ["prng", ["abi/index", "layout", "memory", "ring", "stats", "trap"]],
  ["wire/", []],
  ["flow/", [...BASE, "wire/"]],
  ["tcp/", [...BASE, "wire/", ...FLOW_SHARED]],
  ["local/", [...BASE, "wire/", ...FLOW_SHARED]],
  ["index", ["abi/index", "engine"]],
  ["input4", [...BASE, "wire/", "flow/", "tcp/", "local/", "icmp4"]],
  ["input6", [...BASE, "wire/", "flow/", "tcp/", "local/"]],
  ["frame", [...BASE, "wire/", "flow/", "local/", "guest", "input4", "input6"]],
  ["config-check", [...BASE, "wire/"]],
  ["icmp4", [...BASE, "wire/", "flow/", "tcp/", "local/"]],
  ["dispatch", [...BASE, "wire/", "flow/", "tcp/"]],
  ["audit", [...BASE, "wire/", "flow/", "tcp/"]],
  ["guest", [...BASE, "wire/", "flow/", "tcp/", "local/", "dispatch"]],
  [
    "engine",
    [
      ...[...BASE, "wire/", "flow/", "tcp/", "local/"],
      ...["audit", "config-check", "dispatch", "frame", "guest"],
    ],
  ],
];

/** `config`, `engine` and all above share the ABI's constants; code is `src/engine`'s alone. */
const ABI = "wasm/abi.ts";
/** Numbers of errors, one table for engine and host; `sys` has it for all that may import `sys`. */
const ERRNO = "wasm/errno.ts";
const LOW = ["lib/", "sys/", "config/"];
const HALVES = ["engine/", "link/", "upstream/"];

const SRC: readonly (readonly [string, readonly string[]])[] = [
  ["assets.ts", []],
  ["lib/", []],
  ["sys/", ["lib/", ERRNO]],
  ["config/", ["lib/", ABI]],
  ["engine/", [...LOW, ABI]],
  ["link/", [...LOW, ABI]],
  ["upstream/", [...LOW, ABI, "engine/"]],
  ["replay/", ["lib/", "engine/", "link/", ABI]],
  ["loop/", [...LOW, ...HALVES, ABI]],
  ["network/", [...LOW, ...HALVES, "loop/", ABI, ERRNO]],
  ["binding/", [...LOW, ...HALVES, "replay/", "loop/", "assets.ts", ABI]],
  ["metrics/", ["lib/", "engine/", "link/", "binding/", ABI]],
  ["admin/", [...LOW, ...HALVES, "binding/", "metrics/", ABI]],
  ["ui/", ["lib/", "config/", "admin/"]],
  ["doctor/", LOW],
  ["hooks/", ["lib/", "config/"]],
  [
    "cli/",
    [
      ...LOW,
      ...HALVES,
      "replay/",
      "loop/",
      "binding/",
      "metrics/",
      "admin/",
      "ui/",
      "doctor/",
      "hooks/",
      "assets.ts",
    ],
  ],
  ["main.ts", [...LOW, ...HALVES, "loop/", "binding/", "hooks/", "cli/", "assets.ts"]],
  // The laboratory: the product never imports it, but for `main`, which loads its commands.
  ["lab/sim/", ["lib/", "engine/", "link/", "upstream/", "loop/", "assets.ts", ABI, ERRNO]],
  ["lab/demo/", [...LOW, "hooks/", "cli/", "lab/sim/"]],
  ["lab/commands/", [...LOW, "engine/", "link/", "replay/", "cli/", "lab/sim/", "assets.ts"]],
];
/** Who may load what only when it is needed, by `import()`. */
const LAZY: readonly (readonly [string, readonly string[]])[] = [
  ["main.ts", ["sys/", "cli/", "lab/demo/", "lab/commands/"]],
];

function matches(path: string, name: string): boolean {
  return name.endsWith("/") ? path.startsWith(name) : path === name;
}

function allowed(
  table: readonly (readonly [string, readonly string[]])[],
  from: string,
  to: string,
): boolean {
  const row = table.find(([name]) => matches(from, name));
  if (row === undefined) return false;
  const own = row[0].endsWith("/") && matches(to, row[0]);
  return own || row[1].some((name) => matches(to, name));
}

function inWasm(path: string): string {
  return path.slice("wasm/".length).replace(/\.ts$/, "");
}

/** True when `from` may import `to`. */
export function mayImport(from: string, to: string, kind: ImportKind = "value"): boolean {
  if (from.startsWith("wasm/")) {
    return to.startsWith("wasm/") && allowed(WASM, inWasm(from), inWasm(to));
  }
  if (!from.startsWith("src/")) return true;
  if (to === "package.json") return /^src\/(main\.ts|cli\/.*|config\/manifests\.ts)$/.test(from);
  const source = from.slice("src/".length);
  if (to.startsWith("wasm/")) return (to === ABI || to === ERRNO) && allowed(SRC, source, to);
  if (!to.startsWith("src/")) return false;
  const target = to.slice("src/".length);
  if (kind === "type" && source.startsWith("hooks/") && target.startsWith("binding/")) return true;
  if (kind === "lazy" && allowed(LAZY, source, target)) return true;
  return allowed(SRC, source, target);
}
