/** What the decoders make of a frame from the engine. */

/** Fields of virtio_net_hdr that are in use. */
export interface VnetHeader {
  /** 0 none, 1 TCPv4, 4 TCPv6, 5 UDP_L4. */
  readonly gsoType: number;
  readonly headerLength: number;
  readonly gsoSize: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
}

export interface FrameBase {
  readonly octets: Uint8Array;
  readonly sourceMac: string;
  readonly destinationMac: string;
  /** Present when the link has to complete the checksum. */
  readonly vnet: VnetHeader | undefined;
}

export interface ArpFrame extends FrameBase {
  readonly kind: "arp";
  readonly operation: number;
  readonly senderMac: string;
  readonly senderAddress: string;
  readonly targetMac: string;
  readonly targetAddress: string;
}

export interface IpFrame extends FrameBase {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly ttl: number;
  readonly tos: number;
  readonly id: number;
  readonly dontFragment: boolean;
  readonly payload: Uint8Array;
}

/** Part of a packet; `payload` is not decoded further. */
export interface FragmentFrame extends IpFrame {
  readonly kind: "fragment";
  /** Octets. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
}

export interface IcmpFrame extends IpFrame {
  readonly kind: "icmp";
  readonly type: number;
  readonly code: number;
  /** The four octets behind the checksum. */
  readonly rest: number;
}

export interface Icmp6Frame extends IpFrame {
  readonly kind: "icmp6";
  readonly type: number;
  readonly code: number;
  /** The four octets behind the checksum. */
  readonly rest: number;
}

export interface UdpFrame extends IpFrame {
  readonly kind: "udp";
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface TcpFrame extends IpFrame {
  readonly kind: "tcp";
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: string;
  readonly window: number;
  readonly urgent: number;
  readonly options: DecodedTcpOptions;
}

export interface DecodedTcpOptions {
  readonly mss?: number;
  readonly windowScale?: number;
  readonly sackPermitted?: boolean;
  readonly timestamps?: readonly [number, number];
  readonly sack?: readonly (readonly [number, number])[];
}

export type Frame = ArpFrame | FragmentFrame | IcmpFrame | Icmp6Frame | UdpFrame | TcpFrame;
