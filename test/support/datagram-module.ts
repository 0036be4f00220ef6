/** Module `datagram` with a configuration: what the tests of small parts of `wasm/flow` share. */
import * as abi from "../../wasm/abi.ts";
import { GUEST } from "./engine-settings.ts";
import { ip } from "./packet.ts";
import type { TestModule } from "./wasm.ts";

export const GATEWAY = "10.0.2.2";
export const DNS = "10.0.2.3";

/** Starts the module over with a configuration. */
export function configure(
  wasm: TestModule,
  options: { loopback?: boolean; prefix?: number } = {},
): void {
  const { loopback = false, prefix = 24 } = options;
  const base = wasm.u32("configBase");
  wasm.octets.fill(0, base, base + abi.CONFIG_SIZE);
  const set = (offset: number, value: number): void => {
    wasm.view.setUint32(base + offset, value, true);
  };
  set(abi.CONFIG_GUEST_ADDRESS_OFFSET, ip(GUEST));
  set(abi.CONFIG_GATEWAY_ADDRESS_OFFSET, ip(GATEWAY));
  set(abi.CONFIG_DNS_ADDRESS_OFFSET, ip(DNS));
  set(abi.CONFIG_PREFIX_LENGTH_OFFSET, prefix);
  set(abi.CONFIG_FLAGS_OFFSET, loopback ? abi.CONFIG_FLAG_HOST_LOOPBACK : 0);
  wasm.run("init");
}
