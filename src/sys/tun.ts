/**
 * Tap devices: one descriptor whose reads and writes are Ethernet frames.
 *
 * With a virtio_net_hdr in front of each frame both sides may hand over what the wire could not
 * carry: TCP and UDP super-frames and unfinished checksums. The kernel is asked for the richest set
 * of offloads and then for less, and the caller is told what it took.
 * Source: Documentation/networking/tuntap.rst, include/uapi/linux/if_tun.h.
 */

import { Block } from "./block.ts";
import { check, EACCES, EBUSY, EINVAL, ENODEV, ENOENT, EPERM, SystemError } from "./errno.ts";
import { type Fd, openFile } from "./fd.ts";
import type { Libc } from "./libc.ts";
import {
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TAP,
  IFF_VNET_HDR,
  IFNAMSIZ,
  IFREQ_SIZE,
  IFREQ_UNION_OFFSET,
  O_NONBLOCK,
  O_RDWR,
  TUNSETIFF,
  TUNSETVNETHDRSZ,
} from "./linux.ts";
import { OFFLOADS_ALL, setOffloads } from "./offloads.ts";

/** struct virtio_net_hdr without the buffer count. */
const TAP_VNET_SIZE = 10;
const TUN_PATH = "/dev/net/tun";

export interface TapOptions {
  /** 1 to 15 octets; "%d" in it lets the kernel choose a number. */
  readonly name: string;
  readonly vnetHeader: boolean;
  readonly multiQueue?: boolean;
  /** TUN_F_…: offload frames the caller can read. Without a vnet header there are none. */
  readonly offloads?: number;
  /** Clone device, /dev/net/tun unless told otherwise. */
  readonly tunPath?: string;
}

export interface Tap {
  /** Non-blocking; the device goes away with its last descriptor. */
  readonly fd: number;
  readonly name: string;
  readonly vnetSize: 0 | 10;
  /** TUN_F_… the kernel took: what frames read from it may look like. */
  readonly offloads: number;
}

/**
 * Creates a tap device, or takes over an existing persistent one, in the network namespace of the
 * calling thread.
 * @throws SystemError, RangeError for a name no interface can have
 */
export function openTap(sys: Libc, options: TapOptions): Tap {
  const path = options.tunPath ?? TUN_PATH;
  const fd = openTun(sys, path);
  try {
    const request = interfaceRequest(sys, options.name);
    const flags =
      IFF_TAP |
      IFF_NO_PI |
      (options.vnetHeader ? IFF_VNET_HDR : 0) |
      (options.multiQueue === true ? IFF_MULTI_QUEUE : 0);
    request.view.setUint16(IFREQ_UNION_OFFSET, flags, true);
    const result = sys.ioctl(fd.number, TUNSETIFF, request.address);
    if (result === -EBUSY) {
      throw new SystemError(`Close the program that uses tap "${options.name}"`, result);
    }
    check(result, `Create tap "${options.name}"`, {
      [EPERM]: "it takes CAP_NET_ADMIN in that network namespace: start as root or as its owner",
      [EINVAL]: "an interface of that name is there, and is another kind: choose another name",
    });
    const name = interfaceName(request);
    let offloads = 0;
    if (options.vnetHeader) {
      request.setI32(0, TAP_VNET_SIZE);
      const sized = sys.ioctl(fd.number, TUNSETVNETHDRSZ, request.address);
      check(sized, `Set the header size of tap "${name}" to ${TAP_VNET_SIZE}`);
      offloads = setOffloads(sys, fd.number, options.offloads ?? OFFLOADS_ALL);
    }
    return { fd: fd.release(), name, vnetSize: options.vnetHeader ? TAP_VNET_SIZE : 0, offloads };
  } finally {
    fd.close(); // only where an error left it here
  }
}

/**
 * struct ifreq with the name filled in and the rest zero.
 * @throws RangeError
 */
export function interfaceRequest(sys: Libc, name: string): Block {
  const octets = new TextEncoder().encode(name);
  const fits = octets.length > 0 && octets.length < IFNAMSIZ;
  if (!fits || /[\s/:]/.test(name) || name === "." || name === "..") {
    const rule = `1 to ${IFNAMSIZ - 1} octets without "/", ":" or blanks`;
    throw new RangeError(`Name the interface with ${rule}: "${name}"`);
  }
  const request = new Block(sys, IFREQ_SIZE);
  request.bytes.set(octets);
  return request;
}

function interfaceName(request: Block): string {
  const field = request.bytes.subarray(0, IFNAMSIZ);
  const end = field.indexOf(0);
  return new TextDecoder().decode(field.subarray(0, end < 0 ? IFNAMSIZ : end));
}

function openTun(sys: Libc, path: string): Fd {
  try {
    return openFile(sys, path, O_RDWR | O_NONBLOCK, {
      [EACCES]: `let this user read and write "${path}" (chmod 666, or a group), or start as root`,
      [EPERM]: `let this container use the device (--device ${path})`,
    });
  } catch (error) {
    if (error instanceof SystemError && (error.errno === ENOENT || error.errno === ENODEV)) {
      const action = `Load the kernel module "tun" or mount "${path}"`;
      throw new SystemError(action, error.errno, `in a container: --device ${path}`);
    }
    throw error;
  }
}
