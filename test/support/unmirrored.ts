/** Source files without a test file of their own name, and what tests them instead. */

const TYPES = "declares types and nothing else";
const ENGINE = "test/engine/engine.test.ts drives it from outside";
const LOADER = "test/sys/libc.test.ts, under the runtime it is for";
const SIX = "test/wasm/flow/ipv6.test.ts, test/wasm/tcp/ipv6.test.ts and test/wasm/input6.test.ts";
const NAMESPACE = "test/sys/netns.test.ts makes real interfaces with it";

export const UNMIRRORED: Readonly<Record<string, string>> = {
  "src/assets.ts": "test/build.test.ts",
  "src/binding/worker.ts": "test/binding/binding.test.ts starts it and ends it in every way",
  "src/cli/attach.ts": "test/e2e/attach.runtime.test.ts runs it as a program",
  "src/cli/options-table.ts": "test/cli/options.test.ts",
  "src/engine/as-types.d.ts": TYPES,
  "src/engine/errors.ts": "test/engine/module.test.ts",
  "src/lib/assert.ts": "two functions without a case of their own",
  "src/link/frames.ts": "test/link/memory.test.ts and test/link/tap.test.ts",
  "src/link/link.ts": TYPES,
  "src/loop/budget.ts": "constants; test/loop/loop.test.ts checks that they bound a turn",
  "src/main.ts": "test/e2e/attach.runtime.test.ts",
  "src/sys/block.ts": "test/sys/libc.test.ts",
  "src/sys/bun.ts": LOADER,
  "src/sys/deno.ts": LOADER,
  "src/sys/linux.ts": "constants, each used by a test of the call it belongs to",
  "src/sys/mmap.ts": "test/sys/fd.test.ts",
  "src/sys/native.ts": TYPES,
  "src/sys/netconfig.ts": NAMESPACE,
  "src/sys/netlink.ts": NAMESPACE,
  "src/sys/tap-device.ts": NAMESPACE,
  "src/sys/tap-helper.ts": NAMESPACE,
  "src/upstream/upstream.ts": TYPES,
  "wasm/abi.ts": "constants; test/engine/module.test.ts checks the contract",
  "wasm/engine.ts": ENGINE,
  "wasm/flow/emit6.ts": SIX,
  "wasm/flow/error-limit.ts": "test/wasm/flow/icmp-error.test.ts and test/wasm/flow/ipv6.test.ts",
  "wasm/flow/icmp6-error.ts": SIX,
  "wasm/flow/packet.ts": SIX,
  "wasm/flow/roots.ts": "test/wasm/flow/addresses.test.ts",
  "wasm/flow/send.ts": SIX,
  "wasm/flow/resolvers.ts": "test/wasm/flow/dns.test.ts, datagrams and connections",
  "wasm/index.ts": ENGINE,
  "wasm/layout.ts": "compared with the ABI when it is compiled",
};
