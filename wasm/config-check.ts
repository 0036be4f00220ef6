/** Whether the host's configuration makes sense, before anything is built on it. */
import * as abi from "./abi/index";
import { CONFIG, config } from "./memory";
import { load16 } from "./wire/bytes";
import { dhcp6OptionsOk } from "./wire/dhcpv6";
import { IPV6_MTU_MIN } from "./wire/ipv6";
import { VNET_MERGED_SIZE, VNET_SIZE } from "./wire/vnet";

/** What every host of IPv4 takes (RFC 791 §3.2), and what a length field can say. */
const MTU_MIN: u32 = 576;
const MTU_MAX: u32 = 65535;
/** A network of four addresses. */
const PREFIX6_LENGTH_MAX: u32 = 126;
/** Selector and length of what to boot (`abi/config`). */
const BOOT_HEADER_SIZE: u32 = 4;

/** Whether what IPv6 is told makes sense. */
function config6Ok(mtu: u32): bool {
  const octets = config(abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET);
  if (octets > <u32>abi.DHCP_OPTIONS_SIZE) return false;
  if (!dhcp6OptionsOk(CONFIG + abi.CONFIG_DHCP6_OPTIONS_OFFSET, octets)) return false;
  if ((config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_IPV6) == 0) return true;
  return mtu >= IPV6_MTU_MIN && config(abi.CONFIG_PREFIX6_LENGTH_OFFSET) <= PREFIX6_LENGTH_MAX;
}

/** Whether `length` octets of what to boot are whole entries (`local/boot`). */
function bootOk(from: i32, length: u32): bool {
  if (length > <u32>abi.BOOT_SIZE) return false;
  let left = length;
  for (let p = CONFIG + from; left > 0; ) {
    const size: u32 = left < BOOT_HEADER_SIZE ? 0 : load16(p + 2);
    if (size == 0 || size > left - BOOT_HEADER_SIZE) return false;
    p += BOOT_HEADER_SIZE + size;
    left -= BOOT_HEADER_SIZE + size;
  }
  return true;
}

/** Whether all of it makes sense. */
export function configOk(): bool {
  const mtu = config(abi.CONFIG_MTU_OFFSET);
  const vnet = config(abi.CONFIG_VNET_SIZE_OFFSET);
  if (mtu < MTU_MIN || mtu > MTU_MAX) return false;
  if (vnet != 0 && vnet != VNET_SIZE && vnet != VNET_MERGED_SIZE) return false;
  if (config(abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET) > <u32>abi.DHCP_OPTIONS_SIZE) return false;
  if (config(abi.CONFIG_RESOLVERS_COUNT_OFFSET) > <u32>abi.RESOLVER_COUNT) return false;
  if (!bootOk(abi.CONFIG_BOOT_OFFSET, config(abi.CONFIG_BOOT_LENGTH_OFFSET))) return false;
  if (!bootOk(abi.CONFIG_BOOT6_OFFSET, config(abi.CONFIG_BOOT6_LENGTH_OFFSET))) return false;
  return config6Ok(mtu);
}
