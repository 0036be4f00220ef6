/**
 * Which link an interface gets, and where QEMU finds its other end.
 *
 * Theory of operation
 *   A link that is asked for by name is given, or refused. `auto` is the best that there is: where
 *   a data plane runs, vhost-user if nothing stands against it, else `client`, which always works.
 *   What stands against vhost-user, looked at in this order:
 *
 *     the card            it is not virtio
 *     state "down"        libvirt could not plug it in again while the machine runs
 *     the memory          it cannot be shared (`memory.ts`)
 *     memory limit        see below
 *     the socket's path   it may differ in the pod a machine migrates to, or is too long
 *
 *   All of that is the same in every pod of a machine, and so is the choice: after a migration QEMU
 *   runs with the XML of the pod it comes from, and waits without end for a back end that is not
 *   there.
 *
 *   Memory limit: a page of shared memory is charged to the control group of the process that
 *   touches it first, until QEMU ends. That is us where a receive buffer is a page that the guest
 *   has never used nor cleared; such pages cannot be given back, and beyond its limit a sidecar is
 *   killed. Linux clears them where it was built to (init_on_alloc): then nothing is charged. Else
 *   a download into fresh memory was seen to have a thirtieth of it charged, and what waits in
 *   sockets of TCP is at most 3/32 of a guest's memory: an eighth is counted. Where QEMU touches
 *   all pages first (huge pages, immediate allocation) our page tables are charged alone, eight
 *   octets for each page of 4 KiB. A limit that does not hold this much stands against the link;
 *   where it is asked for by name, that is a warning. A guest that means to can have more charged,
 *   and lose its own network.
 *
 *   Path: KubeVirt numbers sidecars, and the folder of sockets is named after the number. With more
 *   than one network binding in a machine it numbers them at random, in each pod anew.
 *
 * Source: Linux, mm/shmem.c (whom a page is charged to) and tcp_init_mem; KubeVirt, pkg/hooks and
 * virt-controller; libvirt 9.0, qemuDomainChangeNet.
 */
import { quote } from "../../config/errors.ts";
import { type HookSettings, LINK_CHOICES, type LinkKind } from "../../config/hook-settings.ts";
import { oneOf } from "../../config/settings.ts";
import type { Device } from "./device.ts";
import { quoteTruncated, unsupported, withContext } from "./errors.ts";
import type { GuestMemory } from "./memory.ts";
import { ANNOTATION_PREFIX, readAnnotation, type Vmi, type VmiInterface } from "./vmi.ts";

/** What `auto` may stand for: this one, and where that is `vhost-user` also `client`. */
export type AutoLink = Exclude<LinkKind, "stream">;

/** What a choice of link depends on besides VMI and domain. */
export interface LinkContext {
  readonly settings: HookSettings;
  readonly autoLink: AutoLink;
  /** Octets that the control group of this process may have; undefined = no limit. */
  readonly memoryLimit: number | undefined;
}

/** One card of a machine. */
export interface Card {
  readonly vmi: Vmi;
  readonly iface: VmiInterface;
  readonly device: Device;
  readonly memory: GuestMemory;
}

/** A link and why it is this one. */
export interface LinkChoice {
  readonly kind: LinkKind;
  readonly reason: string;
  /** What the machine's owner should know of it. */
  readonly warnings: readonly string[];
}

/** How QEMU reaches its network backend. Paths are those of the compute container. */
export type Attachment =
  /** QEMU connects to a loopback TCP port. */
  | { readonly kind: "client"; readonly port: number }
  /** QEMU connects to a unix socket. */
  | { readonly kind: "stream"; readonly path: string; readonly file: string }
  /** QEMU connects to a unix socket and shares its memory. */
  | { readonly kind: "vhost-user"; readonly path: string; readonly file: string }
  /** QEMU's own user networking: no data plane of ours. */
  | { readonly kind: "user" };

const LINK_ANNOTATION = `${ANNOTATION_PREFIX}link`;

/** Folder of the hook sockets, as the compute container sees it. */
const HOOKS_FOLDER = "/var/run/kubevirt-hooks";
/** The only folder in it whose files virt-launcher does not take for hook sockets. */
const USER_FOLDER = "userdata";

/** Octets of the path of a unix socket, its final zero left out (unix(7)). */
const SOCKET_PATH_SIZE_MAX = 107;

const MIB = 1 << 20;
/** What the program itself may need of its limit, guests' flows included. */
const OWN_NEED = 64 * MIB;
/** Octets of memory to one that we touch first. */
const FRESH_RATIO = 8;
/** Octets of memory to one octet of page tables: a page of 4 KiB has an entry of eight octets. */
const PAGE_TABLE_RATIO = 512;

/** The link that is asked for, and by whom; undefined leaves it to `chooseLink`. */
export interface LinkWish {
  readonly kind: LinkKind;
  readonly reason: string;
}

/** Reads what VM and image ask for. Throws `HookError`. */
export function readWish(vmi: Vmi, settings: HookSettings): LinkWish | undefined {
  const asked = readAnnotation(vmi, LINK_ANNOTATION, settings.allowsAnnotations);
  const choice =
    asked === undefined
      ? settings.link
      : withContext(`annotation "${LINK_ANNOTATION}" ${quoteTruncated(asked)}`, () =>
          oneOf(LINK_CHOICES)(asked),
        );
  if (choice === "auto") return undefined;
  return { kind: choice, reason: asked === undefined ? "asked for" : "asked for by annotation" };
}

/** The link of one card. Throws `HookError` where one that is asked for cannot be had. */
export function chooseLink(
  asked: LinkWish | undefined,
  card: Card,
  context: LinkContext,
): LinkChoice {
  if (asked !== undefined) return { ...asked, warnings: warningsOf(asked.kind, card, context) };
  const choice = (kind: LinkKind, reason: string): LinkChoice => ({ kind, reason, warnings: [] });
  switch (context.autoLink) {
    case "user":
      return choice("user", "no data plane here");
    case "client":
      return choice("client", "no folder for the sockets of other links");
    case "vhost-user": {
      const obstacle = obstacleTo(card, context);
      if (obstacle !== undefined) return choice("client", obstacle);
      return choice("vhost-user", "virtio card, memory can be shared");
    }
  }
}

/** What stands against vhost-user. */
function obstacleTo(
  { vmi, iface, device, memory }: Card,
  context: LinkContext,
): string | undefined {
  const { settings, memoryLimit } = context;
  if (!device.isVirtio) return notVirtio(device);
  if (device.linkState === "down") return 'state "down" could not be changed';
  if (memory.obstacle !== undefined) return memory.obstacle;
  const shortage = shortageOf(memory, memoryLimit);
  if (shortage !== undefined) return shortage;
  const path = pathOf(fileOf("vhost-user", iface.index), settings);
  if (path.length > SOCKET_PATH_SIZE_MAX) return `socket path ${quote(path)} is too long`;
  const names = vmi.interfaces.flatMap(({ bindingName = [], isLegacySlirp }) =>
    isLegacySlirp ? settings.bindingName : bindingName,
  );
  if (settings.containerName === undefined || new Set(names).size < 2) return undefined;
  return "several network bindings: the socket's path may differ in other pods";
}

function warningsOf(kind: LinkKind, { memory }: Card, { memoryLimit }: LinkContext): string[] {
  const shortage = kind === "vhost-user" ? shortageOf(memory, memoryLimit) : undefined;
  return shortage === undefined ? [] : [`link "vhost-user": ${shortage}`];
}

/** Why the limit may not hold what of the guest's memory is charged to us. */
function shortageOf(memory: GuestMemory, limit: number | undefined): string | undefined {
  if (limit === undefined || memory.isHuge) return undefined;
  const tables = memory.size / PAGE_TABLE_RATIO;
  const charged = tables + (memory.isPreallocated ? 0 : memory.size / FRESH_RATIO);
  if (charged + OWN_NEED <= limit) return undefined;
  const mib = (octets: number): number => Math.ceil(octets / MIB);
  const most = `some ${mib(charged)} MiB of the guest's may count as ours`;
  return `memory limit of ${mib(limit)} MiB: ${most}`;
}

function notVirtio({ model }: Device): string {
  return `model ${quote(model)}: link "vhost-user" needs "virtio"`;
}

/**
 * Where QEMU finds the link's other end. File names have the interface's index, not its name, so
 * that paths are short. Throws `HookError` where the link cannot be had.
 */
export function deriveAttachment(card: Card, kind: LinkKind, settings: HookSettings): Attachment {
  checkLink(card, kind);
  const { iface } = card;
  if (kind === "user") return { kind };
  if (kind === "client") return { kind, port: settings.loopbackPort + iface.index };
  const file = fileOf(kind, iface.index);
  const path = pathOf(file, settings);
  if (path.length > SOCKET_PATH_SIZE_MAX) {
    const what = `iface ${quote(iface.name)}: link ${quote(kind)}: socket path ${quote(path)}`;
    throw unsupported(`${what} is longer than ${SOCKET_PATH_SIZE_MAX} octets`);
  }
  return { kind, path, file };
}

function fileOf(kind: LinkKind, index: number): string {
  return `${kind}-${index}.sock`;
}

function pathOf(file: string, { containerName }: HookSettings): string {
  return [HOOKS_FOLDER, containerName, USER_FOLDER, file]
    .filter((part) => part !== undefined)
    .join("/");
}

function checkLink({ iface, device, memory }: Card, kind: LinkKind): void {
  const what = `iface ${quote(iface.name)}`;
  if (kind === "vhost-user") {
    if (!device.isVirtio) throw unsupported(`${what}: ${notVirtio(device)}`);
    if (memory.obstacle === undefined) return;
    throw unsupported(`${what}: link "vhost-user": ${memory.obstacle}`);
  }
  if ((kind === "stream" || kind === "user") && device.linkState === "down") {
    throw unsupported(`${what}: state "down" is not possible with link ${quote(kind)}`);
  }
  if (kind !== "user") return;
  const { ntpServers, privateOptions } = iface.dhcpOptions;
  // QEMU's DHCP server does not support these.
  const missing = [
    ...(ntpServers.length > 0 ? ["ntpServers"] : []),
    ...(privateOptions.length > 0 ? ["privateOptions"] : []),
  ];
  for (const name of missing) {
    throw unsupported(`${what}: dhcpOptions ${quote(name)} are not possible with link "user"`);
  }
}
