/**
 * Which test file runs under which runtime.
 *
 * - Node runs every file but the end-to-end tests with a runtime of their own choice.
 * - The engine is pure WebAssembly; the hook server, and the runs of the simulator, are to be the
 *   same everywhere: their tests run under Bun and Deno too, but for those of the engine's parts
 *   under Deno, which has the same V8 as Node.
 * - The command line's parts run under Bun too, which is what ships; those of its tests that start
 *   the program or a network are among those with system calls.
 * - System calls need Bun or Deno. Under Node those files run for what they say there (a clear
 *   error) and their other tests skip themselves, which is by design and not counted.
 * - End-to-end tests drive the single binary, which is Bun; those named `*.runtime.test.ts` drive
 *   the program from source under Deno as well, and one of them, which goes all over the program,
 *   under Bun.
 * - The sidecar's tests drive the binary once more with its seccomp profile in force.
 */
import process from "node:process";
import { filesBelow } from "./build.mjs";
import { inRoot } from "./shell.mjs";

const EVERYWHERE = [
  ...["test/wasm/", "test/engine/", "test/network/", "test/hooks/", "test/sim/", "test/cli/"],
];
/** Deno runs WebAssembly on V8, as Node does; what is the cli's alone is run by test/e2e there. */
const NOT_ON_DENO = ["test/wasm/", "test/cli/"];
const SYSTEM_CALLS = [
  ...["test/sys/", "test/link/", "test/upstream/", "test/loop/", "test/binding/"],
  ...[
    "attach",
    "confine-program",
    "data-plane",
    "admin/guest-report",
    "log",
    "run-inside",
    "serve",
  ].map((name) => `test/cli/${name}.test.ts`),
];
const END_TO_END = "test/e2e/";
/** What the profile is for; also what `scripts/seccomp.mjs` makes it from. */
export const CONFINED = [
  "test/e2e/hooks-serve.runtime.test.ts",
  "test/e2e/sidecar.runtime.test.ts",
  "test/e2e/sidecar-faults.test.ts",
];
export const PROFILE = "deploy/seccomp.json";
/** Seconds a file may take: several times what it needs on two cores beside others of its stage. */
const LOCAL_LIMIT_S = 150;
const END_TO_END_LIMIT_S = 240;
/** Those that need more. */
export const SLOW_S = {
  // A compiler, which is given the whole engine.
  "test/replay/c-host.test.ts": 480,
  "test/sim/mutants/mutants.test.ts": 300,
  // Packs, installs, compiles, and asks Deno about all sources.
  "test/package.test.ts": 240,
  // A whole browser, which others of the stage leave little time.
  "test/engine-in-browser.test.ts": 600,
  "test/ui/browser/main.test.ts": 300,
  "test/ui/browser/main-looks.test.ts": 300,
  "test/demo-web/page.test.ts": 360,
  "test/e2e/attach-stream.test.ts": 360,
  "test/e2e/attach-takeover.test.ts": 300,
  "test/e2e/attach-vhost-user.test.ts": 300,
  "test/e2e/attach-tcp.runtime.test.ts": 300,
  "test/e2e/guests.test.ts": 480,
  "test/e2e/libvirt-define.test.ts": 360,
  "test/e2e/libvirt-guest.test.ts": 600,
  "test/e2e/sidecar-faults.test.ts": 300,
};
const FROM_SOURCE = "test/e2e/attach.runtime.test.ts";

function below(file, folders) {
  return folders.some((folder) => file.startsWith(folder));
}

function limitOf(file) {
  return SLOW_S[file] ?? (file.startsWith(END_TO_END) ? END_TO_END_LIMIT_S : LOCAL_LIMIT_S);
}

/**
 * Stages in order; the jobs of a stage may run side by side up to `parallel`.
 * A job is `{ runtime, file, limit_s, env, label, skipsByDesign, captures }`.
 */
export function testPlan({ only, endToEnd = true }) {
  const files = filesBelow("test", ".test.ts").filter((file) => !only || file.includes(only));
  const local = files.filter((file) => !file.startsWith(END_TO_END));
  const pure = local.filter((file) => !below(file, SYSTEM_CALLS));
  const system = local.filter((file) => below(file, SYSTEM_CALLS));
  const e2e = endToEnd ? files.filter((file) => file.startsWith(END_TO_END)) : [];
  const job = (runtime, file, extra = {}) => ({
    runtime,
    file,
    limit_s: limitOf(file),
    env: {},
    label: runtime,
    skipsByDesign: false,
    captures: false,
    ...extra,
  });
  const plain = [
    ...pure.map((file) => job("node", file)),
    ...pure
      .filter((file) => below(file, EVERYWHERE))
      .flatMap((file) => [
        job("bun", file),
        ...(below(file, NOT_ON_DENO) ? [] : [job("deno", file)]),
      ]),
  ];
  const calls = system.flatMap((file) => [
    job("node", file, { skipsByDesign: true }),
    job("bun", file),
    job("deno", file),
  ]);
  const drive = (file, runtime) =>
    job("node", file, {
      env: { SLIRP_RUNTIME: runtime },
      label: `e2e/${runtime || "binary"}`,
      captures: true,
    });
  const outside = e2e.map((file) => drive(file, ""));
  const fromSource = e2e
    .filter((file) => file.endsWith(".runtime.test.ts"))
    .flatMap((file) => [
      ...(file === FROM_SOURCE ? [drive(file, "bun")] : []),
      drive(file, "deno"),
    ]);
  // The tests make the filter for this architecture alone.
  const confined = (process.arch === "x64" ? e2e : [])
    .filter((file) => CONFINED.includes(file))
    .map((file) => {
      const env = { SLIRP_RUNTIME: "", E2E_SECCOMP: inRoot(PROFILE) };
      return job("node", file, { env, label: "e2e/seccomp" });
    });
  return [
    { parallel: 2, jobs: plain },
    { parallel: 1, jobs: calls },
    { parallel: 3, jobs: [...outside, ...fromSource, ...confined] },
  ];
}
