/** `doctor --guest-report`: what a guest says against what the program that serves it has seen. */
import { closeSync, openSync, readSync } from "node:fs";
import type { GetStatsResponse, Network } from "../../admin/gen/slirp_binding/admin/v1/admin_pb.js";
import type { GuestReportQuestion } from "../../config/doctor.ts";
import { compareGuest, type SeenGuest } from "../../doctor/guest-compare.ts";
import { parseGuestReport, REPORT_SIZE_MAX } from "../../doctor/guest-report.ts";
import { hasProblems, reportJson, reportText } from "../../doctor/report.ts";
import type { Asked } from "./asked.ts";
import { UsageError } from "./failures.ts";

const STANDARD_INPUT = 0;
const FROM_INPUT = "-";

/** Returns the exit code: 1 where something will not work. */
export async function showGuestReport(
  { file, network: wanted, json }: GuestReportQuestion,
  { calls, output, signal }: Asked,
): Promise<number> {
  const report = parseGuestReport(readReport(file));
  if (report === undefined) {
    throw new UsageError('no line of a report: it is what the script of "doctor --in-guest" says');
  }
  const { networks } = await calls.getInstance({}, { signal });
  const network = chooseNetwork(networks, wanted);
  const stats = await calls.getStats({ network: network.name }, { signal });
  const findings = compareGuest(report, seenOf(network, stats));
  await output.write(json ? reportJson(findings) : reportText(findings));
  return hasProblems(findings) ? 1 : 0;
}

/** No more of it than counts. */
function readReport(file: string): string {
  const octets = Buffer.alloc(REPORT_SIZE_MAX);
  const fd = file === FROM_INPUT ? STANDARD_INPUT : openSync(file, "r");
  try {
    let length = 0;
    while (length < octets.length) {
      const count = readSync(fd, octets, length, octets.length - length, null);
      if (count === 0) break;
      length += count;
    }
    return octets.toString("utf8", 0, length);
  } finally {
    if (fd !== STANDARD_INPUT) closeSync(fd);
  }
}

function chooseNetwork(networks: readonly Network[], wanted: string): Network {
  const found = wanted === "" ? networks : networks.filter(({ name }) => name === wanted);
  const [only, ...others] = found;
  if (only === undefined) throw new UsageError(`there is no guest network "${wanted}"`);
  if (others.length > 0) {
    const names = networks.map(({ name }) => name).join(", ");
    throw new UsageError(`choose one of its guest networks by --interface: ${names}`);
  }
  return only;
}

function seenOf(network: Network, { families }: GetStatsResponse): SeenGuest {
  const samples = (name: string) => families.find((family) => family.name === name)?.samples ?? [];
  const total = (name: string, protocol?: string): number =>
    samples(name)
      .filter(({ labels }) => protocol === undefined || labels["protocol"] === protocol)
      .reduce((sum, { value }) => sum + value, 0);
  const replies = (protocol: string): number => total("slirp_local_replies_total", protocol);
  return {
    isUp: network.isUp,
    hasGuest: network.hasGuest,
    address: network.guestAddress,
    gateway: network.gateway,
    gatewayMac: network.gatewayMac,
    dns: network.dnsAddress,
    mtu: network.mtu,
    received: total("slirp_guest_receive_packets_total"),
    sent: total("slirp_guest_transmit_packets_total"),
    offers: replies("dhcp_offer"),
    acknowledgments: replies("dhcp_ack"),
    drops: Object.fromEntries(
      samples("slirp_drops_total").map(({ labels, value }) => [labels["reason"] ?? "", value]),
    ),
  };
}
