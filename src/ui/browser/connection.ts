/**
 * The stream of `/watch`, for as long as the page lives: when it ends it is begun again, after
 * times that grow, and what the page shows stays in sight meanwhile.
 */
import { type Api, ApiError } from "./api.ts";
import { readLost } from "./model.ts";

const BACK_OFF_s = [0.5, 1, 2, 4, 8] as const;
/** Figures come every second; a connection that is silent for so long leads nowhere. */
const SILENCE_MAX_ms = 8000;

export interface Link {
  /** A connection is there and its first line has come. */
  onUp(): void;
  /** It is not; the next try is after so many seconds. */
  onDown(reason: string, seconds: number): void;
  /** The token is refused: no further try can help. */
  onRefused(): void;
  onLine(line: Readonly<Record<string, unknown>>): void;
}

export class Connection {
  readonly #api: Api;
  readonly #link: Link;
  #failures = 0;
  #retry: (() => void) | undefined;

  constructor(api: Api, link: Link) {
    this.#api = api;
    this.#link = link;
  }

  /** Never returns but where the token is refused. */
  async run(): Promise<void> {
    for (;;) {
      const reason = await this.#once();
      if (reason === undefined) return this.#link.onRefused();
      const seconds = BACK_OFF_s[Math.min(this.#failures, BACK_OFF_s.length - 1)] ?? 8;
      this.#failures += 1;
      this.#link.onDown(reason, seconds);
      await this.#wait(seconds * 1000);
    }
  }

  /** Tries at once. */
  retry(): void {
    this.#retry?.();
  }

  #wait(span_ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, span_ms);
      this.#retry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Why it ended; undefined where the token is refused. */
  async #once(): Promise<string | undefined> {
    const ending = new AbortController();
    let reason = "the connection ended";
    const silent = (): void => {
      reason = "nothing was heard for a while";
      ending.abort();
    };
    let timer = setTimeout(silent, SILENCE_MAX_ms);
    let isUp = false;
    const onLine = (line: Readonly<Record<string, unknown>>): void => {
      clearTimeout(timer);
      timer = setTimeout(silent, SILENCE_MAX_ms);
      if (line["lost"] !== undefined) {
        reason = readLost(line["lost"]);
        return;
      }
      if (!isUp) this.#link.onUp();
      isUp = true;
      // Not with the first line: an instance that ends at once would be asked without a pause.
      if (line["stats"] !== undefined) this.#failures = 0;
      this.#link.onLine(line);
    };
    try {
      await this.#api.watch(onLine, ending.signal);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return undefined;
      if (!ending.signal.aborted) reason = error instanceof Error ? error.message : String(error);
    } finally {
      clearTimeout(timer);
      ending.abort();
    }
    return reason;
  }
}
