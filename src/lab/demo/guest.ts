/** What the demonstration has a guest do, whoever plays it. */

/** What DHCP gave. Addresses as text. */
export interface Lease {
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly dns: string;
  readonly mtu: number | undefined;
}

/** A transfer as the guest saw it. */
export interface Transfer {
  /** Of what went over the network, hexadecimal. */
  readonly sha256: string;
}

export interface DemoGuest {
  /** What it is, for people. */
  readonly name: string;
  /** Gets ready what is needed to attach, where something is; words about it. */
  prepare?(): Promise<string>;
  /** Resolves with words about the link when it is up. */
  attach(): Promise<string>;
  dhcp(): Promise<Lease>;
  /** Address of a name, asked of the resolver that DHCP gave. */
  resolve(name: string): Promise<string>;
  /** Milliseconds of each round trip; rejects when a reply is missing. */
  ping(address: string, count: number): Promise<readonly number[]>;
  /** Sends a datagram of each size; resolves when all have come back equal. */
  echo(address: string, port: number, sizes: readonly number[]): Promise<void>;
  /** The sum is that of what came. */
  download(address: string, port: number): Promise<Transfer>;
  /** The sum is that of what the guest has sent; `answer` is what the server said. */
  upload(address: string, port: number): Promise<Transfer & { readonly answer: string }>;
  /** Answers HTTP requests to a port with this text. */
  serve(port: number, text: string): Promise<void>;
  /** Sizes of datagrams that it can send. */
  readonly echoSizes: readonly number[];
  /** Takes it off the link, however it is. May be called again. */
  remove(): Promise<void>;
}
