/** A guest for `host.mjs`: asks for the gateway's MAC, an address, and an echo. */
import { turn } from "./host.mjs";

const MAC = [0x02, 0, 0, 0, 0, 2];
const BROADCAST = Array(6).fill(0xff);
const GUEST = [10, 0, 2, 15];
const GATEWAY = [10, 0, 2, 2];
const word16 = (value) => [value >> 8, value & 0xff];
const zeros = (count) => Array(count).fill(0);

function print(what, frames, describe) {
  console.log(`${what}: ${frames.length} frame, ${frames.map(describe).join(", ")}`);
}

/** An IPv4 packet of UDP; its checksum is of the header alone, UDP's may be 0. */
function udp(source, destination, ports, payload) {
  const datagram = [...ports.flatMap(word16), ...word16(8 + payload.length), 0, 0, ...payload];
  const front = [0x45, 0, ...word16(20 + datagram.length), 0, 0, 0x40, 0, 64, 17];
  const ends = [...source, ...destination];
  const words = [...front, ...ends];
  let sum = 0;
  for (let i = 0; i < words.length; i += 2) sum += words[i] * 256 + words[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return [...front, ...word16(~sum & 0xffff), ...ends, ...datagram];
}

const hardware = (octets) => octets.map((each) => each.toString(16).padStart(2, "0")).join(":");

const request = [0, 1, 8, 0, 6, 4, 0, 1, ...MAC, ...GUEST, ...zeros(6), ...GATEWAY];
const [answer] = [turn(1_000_000, [...BROADCAST, ...MAC, 8, 6, ...request])];
print("ARP", answer, (frame) => `10.0.2.2 is at ${hardware(frame.slice(22, 28))}`);

// BOOTP: request, Ethernet, 6 octets, hops; transaction; … ; the cookie, option 53 = DISCOVER.
const bootp = [1, 1, 6, 0, 7, 7, 7, 7, ...zeros(20), ...MAC, ...zeros(202)];
const discover = [...bootp, 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255];
const packet = udp([0, 0, 0, 0], [255, 255, 255, 255], [68, 67], discover);
const offers = turn(2_000_000, [...BROADCAST, ...MAC, 8, 0, ...packet]);
print("DHCP", offers, (frame) => `offers ${frame.slice(58, 62).join(".")}`);

const hello = [...new TextEncoder().encode("hello")];
const gateway = answer[0].slice(22, 28);
const query = udp(GUEST, [192, 0, 2, 1], [4000, 7], hello);
turn(3_000_000, [...gateway, ...MAC, 8, 0, ...query]);
print("UDP", turn(3_000_500), (frame) => {
  const payload = frame.slice(42, 34 + frame[38] * 256 + frame[39]); // padding may follow
  return `${frame.slice(26, 30).join(".")} says "${String.fromCharCode(...payload)}"`;
});
