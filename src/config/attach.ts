/**
 * What `attach` was asked to do: environment and arguments read into one frozen, validated value.
 * Whoever holds an `AttachOptions` need not check anything in it again.
 */

import { formatIpv4 } from "../lib/addr.ts";
import { deepFreeze } from "../lib/deep-freeze.ts";
import { ADMIN_OPTIONS, type AdminOptions } from "./admin.ts";
import { BOOT_OPTIONS, type BootOptions, readBoot } from "./boot.ts";
import { CAPTURE_OPTIONS, type CaptureOptions } from "./capture.ts";
import { CHECK_OPTIONS, type CheckOptions } from "./checks.ts";
import { type DhcpOption, dhcpOptionsOf } from "./dhcp-options.ts";
import { checkSearchList6 } from "./dhcp6-options.ts";
import { ConfigError } from "./errors.ts";
import { PUBLISH_OPTIONS, type PublishOptions, readPublish } from "./forward.ts";
import { RUN } from "./headings.ts";
import {
  ATTACH_HOST_SIDE,
  type HostSide,
  hostSideOptions,
  readHostSide,
  STRICT_FILTER_OPTIONS,
} from "./host-side.ts";
import { type LimitOptions, ROOM_OPTIONS, TIMEOUT_OPTIONS } from "./limit-options.ts";
import { LINK_OPTIONS, type LinkSettings, readLink } from "./link.ts";
import { LOG_OPTIONS, type LogOptions, readLogOptions } from "./log-options.ts";
import { METRICS_OPTIONS, type MetricsOptions } from "./metrics.ts";
import { DNS_OPTIONS, type DnsOptions, HOSTNAME_OPTIONS, RESOLVER_OPTIONS } from "./names.ts";
import { NETWORK_OPTIONS, type NetworkOptions, readNetwork } from "./network.ts";
import { checkConflicts, readGroup, rowsOf, value } from "./option.ts";
import { RIGHTS_OPTIONS, type RightsOptions } from "./rights.ts";
import type { Settings } from "./settings.ts";
import { EXIT_OPTIONS, READY_OPTIONS } from "./supervision.ts";

/** What one guest network is started with, deep-frozen. */
export interface BindingOptions {
  readonly link: LinkSettings;
  readonly network: NetworkOptions;
  readonly dns: DnsOptions;
  /** What DHCP says beyond addresses, but for the host's own search list. */
  readonly dhcp: readonly DhcpOption[];
  /** What a guest that boots over the network loads; undefined = nothing. */
  readonly boot: BootOptions | undefined;
  readonly publish: PublishOptions;
  readonly hostSide: HostSide;
  readonly capture: CaptureOptions;
  readonly log: LogOptions;
  readonly limits: LimitOptions;
  /** File descriptor of a pipe or socket; once its other end is closed, it is over. */
  readonly exitFd: number | undefined;
  /** 32 octets that all identifiers derive from; undefined = the caller takes random ones. */
  readonly seed: readonly number[] | undefined;
}

export interface AttachOptions extends BindingOptions, MetricsOptions, AdminOptions, CheckOptions {
  readonly rights: RightsOptions;
  /** File descriptor that gets one byte when ready. */
  readonly readyFd: number | undefined;
}

const HOST_SIDE_OPTIONS = hostSideOptions(ATTACH_HOST_SIDE);

const SEED_OPTIONS = {
  seed: value({
    name: "seed",
    argument: "HEX",
    description: "64 hex digits that all identifiers derive from, for tests (default: random)",
    heading: RUN,
    parse: parseSeed,
  }),
};

/** All its options, in the order of the help. */
export const ATTACH_ROWS = rowsOf(
  LINK_OPTIONS,
  NETWORK_OPTIONS,
  HOSTNAME_OPTIONS,
  RESOLVER_OPTIONS,
  DNS_OPTIONS,
  BOOT_OPTIONS,
  PUBLISH_OPTIONS,
  HOST_SIDE_OPTIONS,
  STRICT_FILTER_OPTIONS,
  ROOM_OPTIONS,
  TIMEOUT_OPTIONS,
  READY_OPTIONS,
  EXIT_OPTIONS,
  RIGHTS_OPTIONS,
  CAPTURE_OPTIONS,
  METRICS_OPTIONS,
  CHECK_OPTIONS,
  ADMIN_OPTIONS,
  LOG_OPTIONS,
  SEED_OPTIONS,
);

/**
 * Reads the settings of `attach`. `isTerminal` says whether the log goes to a terminal, which then
 * gets the pretty format unless asked otherwise. Throws `ConfigError`.
 */
export function readAttachOptions(settings: Settings, isTerminal: boolean): AttachOptions {
  checkConflicts(ATTACH_ROWS, settings);
  const link = readLink(settings);
  const network = readNetwork(settings);
  const publish = { rules: readPublish(settings, network), needsEveryPort: true };
  const dns = readGroup({ ...RESOLVER_OPTIONS, ...DNS_OPTIONS }, settings);
  const { hostname } = readGroup(HOSTNAME_OPTIONS, settings);
  const boot = readBoot(settings, network);
  const dhcp = dhcpOptionsOf({
    hostName: hostname,
    search: dns.search,
    // By address, for whoever does not look at siaddr.
    tftpServerName: boot && formatIpv4(boot.nextServer),
  });
  checkSearchList6(dns.search);
  return deepFreeze({
    link,
    network,
    dns,
    dhcp,
    boot,
    publish,
    hostSide: readHostSide(settings, HOST_SIDE_OPTIONS),
    capture: readGroup(CAPTURE_OPTIONS, settings),
    log: readLogOptions(settings, isTerminal),
    limits: readGroup({ ...ROOM_OPTIONS, ...TIMEOUT_OPTIONS }, settings),
    rights: readGroup(RIGHTS_OPTIONS, settings),
    ...readGroup(
      {
        ...READY_OPTIONS,
        ...EXIT_OPTIONS,
        ...METRICS_OPTIONS,
        ...CHECK_OPTIONS,
        ...ADMIN_OPTIONS,
        ...SEED_OPTIONS,
      },
      settings,
    ),
  });
}

function parseSeed(text: string): readonly number[] {
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new ConfigError("wanted 64 hex digits");
  return (text.match(/../g) ?? []).map((octet) => Number.parseInt(octet, 16));
}
