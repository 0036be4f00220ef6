/** Whether the host's configuration makes sense, before anything is built on it. */
import * as abi from "./abi/index";
import { CONFIG, config } from "./memory";
import { load16 } from "./wire/bytes";
import { dhcp6OptionsOk } from "./wire/dhcpv6";
import { IPV6_MTU_MIN } from "./wire/ipv6";

/** Whether what IPv6 is told makes sense. */
function config6Ok(mtu: u32): bool {
  const octets = config(abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET);
  if (octets > <u32>abi.DHCP_OPTIONS_SIZE) return false;
  if (!dhcp6OptionsOk(CONFIG + abi.CONFIG_DHCP6_OPTIONS_OFFSET, octets)) return false;
  if ((config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_IPV6) == 0) return true;
  return mtu >= IPV6_MTU_MIN && config(abi.CONFIG_PREFIX6_LENGTH_OFFSET) <= 126;
}

/** Whether `length` octets of what to boot are whole entries (`local/boot`). */
function bootOk(from: i32, length: u32): bool {
  if (length > <u32>abi.BOOT_SIZE) return false;
  let left = length;
  for (let p = CONFIG + from; left > 0; ) {
    const size: u32 = left < 4 ? 0 : load16(p + 2);
    if (size == 0 || size > left - 4) return false;
    p += 4 + size;
    left -= 4 + size;
  }
  return true;
}

/** Whether all of it makes sense. */
export function configOk(): bool {
  const mtu = config(abi.CONFIG_MTU_OFFSET);
  const vnet = config(abi.CONFIG_VNET_SIZE_OFFSET);
  if (mtu < 576 || mtu > 65535) return false;
  if (vnet != 0 && vnet != 10 && vnet != 12) return false;
  if (config(abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET) > <u32>abi.DHCP_OPTIONS_SIZE) return false;
  if (config(abi.CONFIG_RESOLVERS_COUNT_OFFSET) > <u32>abi.RESOLVER_COUNT) return false;
  if (!bootOk(abi.CONFIG_BOOT_OFFSET, config(abi.CONFIG_BOOT_LENGTH_OFFSET))) return false;
  if (!bootOk(abi.CONFIG_BOOT6_OFFSET, config(abi.CONFIG_BOOT6_LENGTH_OFFSET))) return false;
  return config6Ok(mtu);
}
