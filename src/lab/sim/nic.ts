/**
 * The network card of a guest whose link has a virtio_net_hdr: takes the header off, completes
 * checksums and cuts offload frames into what fits the MTU, as a kernel does behind a tap. The
 * other way it marks frames that are larger than the MTU as offload frames, and says of others now
 * and then that their checksum was looked at, or is left to be completed.
 *
 * What such a header must never say is a fault. Source: virtio 1.2 §5.1.6.
 */
import { addSum, checksumOf, foldSum, get16, get32, set16, set32 } from "./guest/octets.ts";

export const VNET_SIZE = 12;

const NEEDS_CSUM = 1;
const DATA_VALID = 2;
const GSO_NONE = 0;
const GSO_TCPV4 = 1;
const GSO_UDP_L4 = 5;
const ETHERNET = 14;
const TCP = 6;
const FIN_PSH = 0x09;

export class Nic {
  readonly #mtu: number;
  readonly #fault: (text: string) => void;
  /** Frames of TCP so far: they take turns in what is said of them. */
  #count = 0;

  constructor(mtu: number, fault: (text: string) => void) {
    this.#mtu = mtu;
    this.#fault = fault;
  }

  /** Frames for the guest, from one of the engine's. */
  fromEngine(octets: Uint8Array, deliver: (frame: Uint8Array) => void): void {
    const frame = octets.subarray(VNET_SIZE);
    const little = (at: number): number => (octets[at] ?? 0) | ((octets[at + 1] ?? 0) << 8);
    const flags = octets[0] ?? 0;
    const kind = octets[1] ?? 0;
    const start = little(6);
    const offset = little(8);
    if ((flags & ~NEEDS_CSUM) !== 0) return void this.#fault(`virtio_net_hdr flags ${flags}`);
    if (kind === GSO_NONE) {
      if (flags === NEEDS_CSUM) this.#complete(frame, start, offset);
      return void deliver(frame);
    }
    const size = little(4);
    const header = little(2);
    const known = kind === GSO_TCPV4 || kind === GSO_UDP_L4;
    if (!known || flags !== NEEDS_CSUM || size === 0 || header <= start) {
      return void this.#fault(`virtio_net_hdr: kind ${kind}, size ${size}, header ${header}`);
    }
    if (header - ETHERNET + size > this.#mtu) {
      this.#fault(`virtio_net_hdr: segments of ${header - ETHERNET + size} octets`);
    }
    if (frame.length - header <= size) this.#fault("virtio_net_hdr: offload of a single segment");
    this.#cut(frame, { kind, size, header, start, offset }, deliver);
  }

  /** Writes the checksum over all from `start` on; the field holds the pseudo header's sum. */
  #complete(frame: Uint8Array, start: number, offset: number): void {
    if (start < ETHERNET + 20 || start + offset + 2 > frame.length) {
      return void this.#fault(`virtio_net_hdr: checksum at ${start}+${offset}`);
    }
    const sum = checksumOf(addSum(frame, start, frame.length - start, 0));
    const isUdp = frame[ETHERNET + 9] !== TCP;
    set16(frame, start + offset, isUdp ? sum || 0xffff : sum);
  }

  #cut(
    frame: Uint8Array,
    gso: { kind: number; size: number; header: number; start: number; offset: number },
    deliver: (frame: Uint8Array) => void,
  ): void {
    const { kind, size, header, start, offset } = gso;
    const length = frame.length - header;
    const ip = ETHERNET;
    const flags = frame[start + 13] ?? 0;
    const sequence = get32(frame, start + 4);
    const identification = get16(frame, ip + 4);
    const whole = frame.length - start;
    for (let at = 0, i = 0; at < length; at += size, i += 1) {
      const part = Math.min(size, length - at);
      const cut = new Uint8Array(header + part);
      cut.set(frame.subarray(0, header));
      cut.set(frame.subarray(header + at, header + at + part), header);
      set16(cut, ip + 2, cut.length - ip);
      set16(cut, ip + 4, (identification + i) & 0xffff);
      set16(cut, ip + 10, 0);
      set16(cut, ip + 10, checksumOf(addSum(cut, ip, start - ip, 0)));
      // The pseudo header's sum holds the length of the whole; that of the part takes its place.
      const mine = cut.length - start;
      const sum = get16(frame, start + offset) + mine + (0xffff - (whole % 0xffff));
      if (kind === GSO_TCPV4) {
        set32(cut, start + 4, (sequence + at) >>> 0);
        if (at + part < length) cut[start + 13] = flags & ~FIN_PSH;
      } else set16(cut, start + 4, mine);
      set16(cut, start + offset, 0);
      const total = checksumOf(addSum(cut, start, mine, sum));
      set16(cut, start + offset, kind === GSO_TCPV4 ? total : total || 0xffff);
      deliver(cut);
    }
  }

  /**
   * A frame of the guest as the engine gets it; undefined = the card drops it. Of a damaged frame
   * nothing is said, so that its checksum is looked at.
   */
  fromGuest(frame: Uint8Array, isIntact: boolean): Uint8Array | undefined {
    const octets = new Uint8Array(VNET_SIZE + frame.length);
    octets.set(frame, VNET_SIZE);
    const isLarge = frame.length > ETHERNET + this.#mtu;
    if (!isIntact) return isLarge ? undefined : octets;
    const isIpv4 = frame[12] === 8 && frame[13] === 0;
    const isFragment = ((frame[20] ?? 0) & 0x3f) !== 0 || frame[21] !== 0;
    if (!isIpv4 || isFragment || frame[ETHERNET + 9] !== TCP) return octets;
    const start = ETHERNET + 20;
    const header = start + ((frame[start + 12] ?? 0) >> 4) * 4;
    this.#count += 1;
    if (!isLarge && this.#count % 3 === 0) return octets;
    if (!isLarge && this.#count % 3 === 1) {
      octets[0] = DATA_VALID;
      return octets;
    }
    octets[0] = NEEDS_CSUM;
    set16(octets, 6, swap(start));
    set16(octets, 8, swap(16));
    // Only the sum of the pseudo header is there: the checksum proper is left to be completed.
    const length = frame.length - start;
    set16(octets, VNET_SIZE + start + 16, foldSum(addSum(frame, ETHERNET + 12, 8, TCP + length)));
    if (isLarge) {
      octets[1] = GSO_TCPV4;
      set16(octets, 2, swap(header));
      set16(octets, 4, swap(this.#mtu + ETHERNET - header));
    }
    return octets;
  }
}

/** Little-endian, as virtio has it. */
function swap(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}
