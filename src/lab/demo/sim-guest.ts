/**
 * The guest that needs nothing but this program: the simulator's network stack, which shares no
 * code with the engine, on the very socket that QEMU would connect to.
 */
import type { NetConnectOpts } from "node:net";
import { Content } from "./content.ts";
import type { DemoGuest, Lease, Transfer } from "./guest.ts";
import { request, serveHttp } from "./sim-http.ts";
import { SimLink } from "./sim-link.ts";

/** What a virtio card can be told; DHCP then says what the network has. */
const MTU = 65_520;
const DHCP_LIMIT_MS = 10_000;
const ECHO_RETRY_MS = 2_000;
const ECHO_TRIES = 3;
const PING_SIZE = 56;
const PING_LIMIT_MS = 3_000;
const PING_IDENTIFIER = 0x5150;

export interface SimGuestOptions {
  readonly to: NetConnectOpts;
  /** Where the link is, for people. */
  readonly place: string;
  readonly mac: string;
  readonly seed: number;
  /** Octets to upload. */
  readonly size: number;
}

export class SimGuest implements DemoGuest {
  readonly name = "our own small network stack";
  /** One octet, a full Ethernet frame, the first that is none, the largest there is. */
  readonly echoSizes: readonly number[] = [1, 1472, 1473, 9000, 65_507];
  readonly #options: SimGuestOptions;
  #link: SimLink | undefined;
  #dns = "";
  /** Those who wait for something that a broken link never brings. */
  readonly #waiting = new Set<(error: Error) => void>();
  #problem: Error | undefined;

  constructor(options: SimGuestOptions) {
    this.#options = options;
  }

  async attach(): Promise<string> {
    const { to, mac, seed, place } = this.#options;
    const onFailure = (problem: string): void => {
      this.#problem = new Error(problem);
      for (const reject of this.#waiting) reject(this.#problem);
    };
    this.#link = await SimLink.open({ to, mac, mtu: MTU, seed, onFailure });
    return `${place}, MAC ${mac}`;
  }

  /** Does something with the stack that ends by a callback. */
  #wait<T>(
    begin: (link: SimLink, resolve: (value: T) => void, reject: (error: Error) => void) => void,
    limit_ms?: number,
  ): Promise<T> {
    const link = this.#link;
    if (link === undefined) return Promise.reject(new Error("the guest is not attached"));
    if (this.#problem !== undefined) return Promise.reject(this.#problem);
    return new Promise<T>((resolve, reject) => {
      const late = (): void => fail(new Error("the guest waited in vain"));
      const timer = limit_ms === undefined ? undefined : setTimeout(late, limit_ms);
      const forget = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(fail);
      };
      const fail = (error: Error): void => {
        forget();
        reject(error);
      };
      this.#waiting.add(fail);
      const finish = (value: T): void => {
        forget();
        resolve(value);
      };
      begin(link, finish, fail);
      link.poll();
    });
  }

  dhcp(): Promise<Lease> {
    return this.#wait<Lease>(({ guest, now }, resolve) => {
      guest.onLease = (lease) => {
        if (lease === undefined) return;
        this.#dns = lease.dns[0] ?? "";
        resolve({ ...lease, dns: this.#dns });
      };
      guest.dhcp(now);
    }, DHCP_LIMIT_MS);
  }

  resolve(name: string): Promise<string> {
    return this.#wait<string>(({ guest, now }, resolve, reject) => {
      guest.resolve(this.#dns, name, now, (answer) => {
        const [address] = answer?.addresses ?? [];
        if (address === undefined) reject(new Error(`no address for "${name}"`));
        else resolve(address);
      });
    });
  }

  async ping(address: string, count: number): Promise<readonly number[]> {
    const times: number[] = [];
    for (let sequence = 0; sequence < count; sequence += 1) {
      const payload = new Uint8Array(PING_SIZE).fill(sequence + 1);
      const time_ms = await this.#wait<number>((link, resolve) => {
        const began = link.now;
        link.guest.onEchoReply = (reply) => {
          const isSame = reply.payload.every((octet, i) => octet === payload[i]);
          if (reply.sequence !== sequence || !isSame) return;
          resolve((link.now - began) / 1000);
        };
        link.guest.ping(address, PING_IDENTIFIER, sequence, payload);
      }, PING_LIMIT_MS);
      times.push(time_ms);
    }
    return times;
  }

  async echo(address: string, port: number, sizes: readonly number[]): Promise<void> {
    for (const size of sizes) await this.#echoOne(address, port, size);
  }

  async #echoOne(address: string, port: number, size: number): Promise<void> {
    const payload = new Content(size, size).next() ?? new Uint8Array(0);
    let tries = 0;
    let timer: ReturnType<typeof setInterval> | undefined;
    try {
      await this.#wait<void>((link, resolve, reject) => {
        const socket = link.guest.openUdp(0, {
          received: (datagram) => {
            if (Buffer.compare(datagram.payload, payload) !== 0) {
              return void reject(new Error(`a datagram of ${size} octets came back changed`));
            }
            socket.close();
            resolve();
          },
        });
        const send = (): void => {
          tries += 1;
          if (tries > ECHO_TRIES) return void reject(new Error(`no echo of ${size} octets`));
          socket.send(address, port, payload);
          link.poll();
        };
        timer = setInterval(send, ECHO_RETRY_MS);
        send();
      });
    } finally {
      clearInterval(timer);
    }
  }

  async download(address: string, port: number): Promise<Transfer> {
    const answer = await this.#wait<Awaited<ReturnType<typeof request>>>(
      ({ guest }, resolve, reject) => {
        request(guest, { address, port, method: "GET" }).then(resolve, reject);
      },
    );
    if (answer.status !== 200) throw new Error(`the server answered ${answer.status}`);
    return { sha256: answer.sha256 };
  }

  async upload(address: string, port: number): Promise<Transfer & { readonly answer: string }> {
    const { seed, size } = this.#options;
    const body = new Content(seed, size);
    const answer = await this.#wait<Awaited<ReturnType<typeof request>>>(
      ({ guest }, resolve, reject) => {
        request(guest, { address, port, method: "PUT", body }).then(resolve, reject);
      },
    );
    return { sha256: answer.sent, answer: answer.text.trim() };
  }

  async serve(port: number, text: string): Promise<void> {
    if (this.#link !== undefined) serveHttp(this.#link.guest, port, text);
  }

  async remove(): Promise<void> {
    this.#link?.close();
    for (const reject of this.#waiting) reject(new Error("the guest is gone"));
  }
}
