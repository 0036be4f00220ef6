/**
 * A page of Chromium that is only asked for what it has: by DevTools, with nothing switched on.
 *
 * Playwright's own pages have DevTools report each message of a WebSocket, its octets as base64,
 * to the program that drives them. At 30 MB/s that takes more than a core of two, and is the
 * measurement's doing. Targets of a browser context that Playwright did not make it leaves alone.
 *
 * Source: Chrome DevTools Protocol, domains Target, Page, Runtime and Performance.
 */
import type { Browser, CDPSession } from "playwright-core";
import { messageOf } from "../src/lib/message.ts";

/** What an answer of DevTools has. */
interface Answer {
  readonly id?: number;
  readonly error?: { readonly message: string };
  readonly result?: Readonly<Record<string, unknown>>;
}

interface Evaluated {
  readonly result: { readonly value?: unknown };
  readonly exceptionDetails?: { readonly exception?: { readonly description?: string } };
}

type Waiting = (answer: Answer) => void;

export class BarePage {
  readonly #browser: CDPSession;
  readonly #sessionId: string;
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;

  private constructor(browser: CDPSession, sessionId: string) {
    this.#browser = browser;
    this.#sessionId = sessionId;
    browser.on("Target.receivedMessageFromTarget", ({ sessionId: from, message }) => {
      if (from !== sessionId) return;
      const answer = JSON.parse(message) as Answer;
      const { id = 0 } = answer; // events have none
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  static async open(browser: Browser, url: string): Promise<BarePage> {
    const session = await browser.newBrowserCDPSession();
    const { browserContextId } = await session.send("Target.createBrowserContext");
    const place = { browserContextId, width: 1280, height: 900 };
    const { targetId } = await session.send("Target.createTarget", {
      url: "about:blank",
      ...place,
    });
    const { sessionId } = await session.send("Target.attachToTarget", { targetId });
    const page = new BarePage(session, sessionId);
    await page.#send("Performance.enable");
    await page.#send("Page.navigate", { url });
    return page;
  }

  /** Runs an expression; its value, awaited. Throws what it throws, as text. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { awaitPromise: true, returnByValue: true };
    const answer = await this.#send("Runtime.evaluate", { expression, ...options });
    const { result, exceptionDetails } = answer as unknown as Evaluated;
    if (exceptionDetails !== undefined) {
      throw new Error(exceptionDetails.exception?.description ?? "the page threw");
    }
    return result.value;
  }

  /** Processor time of the page's thread so far, seconds. */
  async processorTime(): Promise<number> {
    const { metrics } = await this.#send("Performance.getMetrics");
    const all = metrics as readonly { readonly name: string; readonly value: number }[];
    return all.find(({ name }) => name === "ThreadTime")?.value ?? Number.NaN;
  }

  async #send(method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> {
    this.#count += 1;
    const id = this.#count;
    const message = JSON.stringify({ id, method, params });
    const { error, result } = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#browser
        .send("Target.sendMessageToTarget", { sessionId: this.#sessionId, message })
        .catch((reason: unknown) => resolve({ error: { message: messageOf(reason) } }));
    });
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }
}
