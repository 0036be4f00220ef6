/**
 * Has tshark read the captures of a test run, and names every frame of ours that it objects to.
 *
 *     node scripts/captures.mjs FOLDER
 *
 * Only what the engine sends counts, told by its MAC address: a guest may be hostile on purpose.
 * Objections are what tshark calls malformed or an error, wrong checksums among them. It reads the
 * protocols that we write ourselves and no others, since to it the content of a stream may look
 * like anything. Checksums of TCP and UDP count in captures called `*-sums.pcap`; in others the
 * link has them completed further on.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { isMain, main, run } from "./shell.mjs";

/** The engine's MAC addresses begin so, whatever the network (`defaultGatewayMac`). */
const OURS = "eth.src[0:2] == 52:55";
/** `PI_ERROR` of Wireshark. */
const SEVERITY_ERROR = 0x00800000;
const FILTER = `${OURS} && (_ws.malformed || _ws.expert.severity == ${SEVERITY_ERROR})`;

const PROTOCOLS = new Set([
  ...["frame", "eth", "ethertype", "arp", "data"],
  ...["ip", "icmp", "udp", "tcp", "dhcp"],
  ...["ipv6", "ipv6.hopopts", "ipv6.fraghdr", "ipv6.dstopts", "ipv6.routing"],
  ...["icmpv6", "dhcpv6"],
]);
const FIELDS = ["frame.number", "frame.protocols", "_ws.expert.message"];
/** Type and length in front of each block of pcapng, and the type that is a frame. */
const BLOCK_HEADER_SIZE = 8;
const ENHANCED_PACKET = 6;
const TIMEOUT_MS = 120_000;
/** One bad habit shows in thousands of frames. */
const COMPLAINTS_MAX = 5;

/** Captures as they lie in a folder; a sidecar's further interfaces put a number behind. */
function capturesIn(folder) {
  const names = fs.readdirSync(folder).filter((name) => /\.pcap(?:\.\d+)?$/.test(name));
  return names.sort().map((name) => path.join(folder, name));
}

/** Whole frames in a capture. */
function countFrames(file) {
  const bytes = fs.readFileSync(file);
  let count = 0;
  for (let at = 0; at + BLOCK_HEADER_SIZE <= bytes.length; ) {
    const size = bytes.readUInt32LE(at + 4);
    if (size < BLOCK_HEADER_SIZE || at + size > bytes.length) break;
    if (bytes.readUInt32LE(at) === ENHANCED_PACKET) count += 1;
    at += size;
  }
  return count;
}

async function hasTshark() {
  const { code } = await run("tshark", ["--version"], { quiet: true });
  return code === 0;
}

/** What tshark prints, but for the warning that it has root's privileges. */
async function tshark(args, env) {
  const options = { env, quiet: true, timeout_ms: TIMEOUT_MS };
  const { code, output } = await run("tshark", args, options);
  const lines = output
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("Running as user"));
  if (code !== 0) throw new Error(`tshark failed with code ${code}: ${lines[0] ?? ""}`);
  return lines;
}

/** Fills a folder for Wireshark's settings, which say what protocols not to know. */
async function restrict(folder) {
  const known = (await tshark(["-G", "protocols"])).map((line) => line.split("\t")[2] ?? "");
  const others = known.filter((name) => name !== "" && !PROTOCOLS.has(name));
  fs.writeFileSync(path.join(folder, "disabled_protos"), `${others.join("\n")}\n`);
}

/** What tshark has against frames of ours in a file, a line each. */
async function objections(file, settings) {
  const name = path.basename(file);
  const sums = name.includes("-sums.pcap") ? "TRUE" : "FALSE";
  const preferences = [
    "ip.check_checksum:TRUE",
    `tcp.check_checksum:${sums}`,
    `udp.check_checksum:${sums}`,
  ];
  const args = [
    ...["-n", "-r", file, "-Y", FILTER, "-T", "fields"],
    ...preferences.flatMap((preference) => ["-o", preference]),
    ...FIELDS.flatMap((field) => ["-e", field]),
  ];
  let found = [];
  try {
    found = await tshark(args, { WIRESHARK_CONFIG_DIR: settings });
  } catch (error) {
    return [`${name}: ${error.message}`];
  }
  const shown = found.slice(0, COMPLAINTS_MAX).map((line) => {
    const [frame, protocols, message] = line.split("\t");
    return `${name}: frame ${frame} (${protocols}): ${message || "malformed"}`;
  });
  const rest = found.length - shown.length;
  return rest > 0 ? [...shown, `${name}: ${rest} more frames`] : shown;
}

/** Reads all captures in a folder: how many files and frames there are, and what is wrong. */
export async function checkCaptures(folder) {
  const files = capturesIn(folder).filter((file) => countFrames(file) > 0);
  const result = { files: files.length, frames: 0, complaints: [], skipped: undefined };
  if (files.length > 0 && !(await hasTshark())) {
    result.skipped = "needs tshark (Debian package tshark)";
    return result;
  }
  const settings = fs.mkdtempSync(path.join(os.tmpdir(), "slirp-tshark-"));
  try {
    if (files.length > 0) await restrict(settings);
    for (const file of files) {
      result.frames += countFrames(file);
      result.complaints.push(...(await objections(file, settings)));
    }
  } finally {
    fs.rmSync(settings, { recursive: true, force: true });
  }
  return result;
}

if (isMain(import.meta.filename)) {
  main(async () => {
    const [folder] = process.argv.slice(2);
    if (folder === undefined) throw new Error("name the folder of the captures");
    const { files, frames, complaints, skipped } = await checkCaptures(folder);
    if (skipped) throw new Error(skipped);
    for (const line of complaints) process.stdout.write(`${line}\n`);
    process.stdout.write(`${frames} frames in ${files} captures read by tshark\n`);
    return complaints.length > 0 ? 1 : 0;
  });
}
