/**
 * The host's own addresses, told to the engine at start and whenever they have changed.
 *
 * The descriptor of the source wakes the loop when something has changed (`notice`); all addresses
 * are read anew with the next turn, but not more often than every INTERVAL: a host whose addresses
 * flap costs a bounded share of the loop's time. Where a guest may not reach them, a start without
 * them fails; a later failure keeps those that are known, is logged once, and tried again.
 */
import { HOST_ADDRESS_COUNT } from "../../wasm/abi.ts";
import type { HostEngine } from "../engine/host-engine.ts";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import type { AddressList } from "../sys/addresses.ts";
import type { Epoll } from "../sys/epoll.ts";
import { check, errnoName } from "../sys/errno.ts";
import { EPOLLET, EPOLLIN } from "../sys/linux.ts";
import { EVENT_OF_ADDRESSES } from "./upstream.ts";

/** Least time between two readings, microseconds. */
const INTERVAL = 100_000;
/** Time until the next one where one has failed, microseconds. */
const RETRY = 1_000_000;

/** Where addresses come from. */
export interface AddressReader {
  /** Becomes readable with every change. */
  readonly fd: number;
  read(): AddressList | number;
  close(): void;
}

export class AddressWatch {
  readonly #source: AddressReader | undefined;
  readonly #log: Logger;
  readonly #isNeeded: boolean;
  /** The addresses as the engine has them. */
  #known = "";
  #isDue = false;
  /** No reading before this time. */
  #next = 0;
  #isFailing = false;

  /** @param open opens the source; where it fails and `isNeeded`, its SystemError is thrown on */
  constructor(open: () => AddressReader, log: Logger, isNeeded: boolean) {
    this.#log = log;
    this.#isNeeded = isNeeded;
    try {
      this.#source = open();
    } catch (error) {
      if (isNeeded) throw error;
      log.warn({ problem: messageOf(error) }, "own addresses unknown");
    }
  }

  /**
   * Waits for changes from now on, and reads. Each engine is told anew.
   * @throws SystemError where it fails and is needed
   */
  start(engine: HostEngine, epoll: Pick<Epoll, "add">, now: number): void {
    this.#known = ""; // to this engine, which need not be the first one
    if (this.#source === undefined) return;
    const added = epoll.add(this.#source.fd, EPOLLIN | EPOLLET, 0, EVENT_OF_ADDRESSES);
    check(added, "Watch own addresses");
    const result = this.#read(this.#source, engine, now);
    if (this.#isNeeded) check(result, "Read own addresses");
  }

  /** Something has changed. */
  notice(kind = EVENT_OF_ADDRESSES): void {
    if (kind === EVENT_OF_ADDRESSES) this.#isDue = true;
  }

  /** Microseconds until the next reading; undefined = when something changes. */
  wait(now: number): number | undefined {
    return this.#isDue && this.#source !== undefined ? Math.max(0, this.#next - now) : undefined;
  }

  /** Reads if it is time to, and tells the engine what has changed. */
  poll(engine: HostEngine, now: number): void {
    if (!this.#isDue || this.#source === undefined || now < this.#next) return;
    this.#read(this.#source, engine, now);
  }

  #read(source: AddressReader, engine: HostEngine, now: number): number {
    const list = source.read();
    if (typeof list === "number") {
      if (!this.#isFailing) {
        this.#log.warn({ problem: errnoName(list) }, "cannot read own addresses, retrying");
      }
      this.#isFailing = true;
      this.#isDue = true;
      this.#next = now + RETRY;
      return list;
    }
    this.#isFailing = false;
    this.#isDue = list.isStale;
    this.#next = now + INTERVAL;
    this.#tell(engine, list.addresses);
    return 0;
  }

  #tell(engine: HostEngine, addresses: readonly Uint8Array[]): void {
    const text = addresses.map(String).sort().join();
    if (text === this.#known) return;
    this.#known = text;
    const left = engine.setHostAddresses(addresses);
    this.#log.debug({ addresses: addresses.length }, "own addresses read");
    if (left === 0) return;
    this.#log.warn({ left, limit: HOST_ADDRESS_COUNT }, "too many own addresses, some left out");
  }

  close(): void {
    this.#source?.close();
  }
}
