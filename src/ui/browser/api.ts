/** Requests to the page's own server. The token is sent as a header and is in no address. */

const TOKEN_KEY = "slirp-token";

/** The server refused, or did not answer; the message is for people. */
export class ApiError extends Error {
  /** HTTP's status, or 0 without an answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * The token of the address, which is taken out of it, so that no history or screenshot has it; or
 * the one of this tab before it was loaded again. Empty where there is none.
 */
export function takeToken(): string {
  const token = location.hash.slice(1);
  if (token !== "") {
    sessionStorage.setItem(TOKEN_KEY, token);
    history.replaceState(null, "", location.pathname);
  }
  return token || (sessionStorage.getItem(TOKEN_KEY) ?? "");
}

export class Api {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** One call of the admin service. Throws `ApiError`. */
  async call(name: string, request: object): Promise<unknown> {
    return (await this.#post(`/call/${name}`, request, null)).json();
  }

  /** Calls `onLine` with each line of `/watch` until it ends. Throws `ApiError`. */
  async watch(
    onLine: (line: Readonly<Record<string, unknown>>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    await this.#read("/watch", {}, signal, (octets) => {
      const lines = decoder.decode(octets, { stream: true }).split("\n");
      lines[0] = rest + (lines[0] ?? "");
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(JSON.parse(line));
    });
  }

  /** Calls `onOctets` with each part of a capture's file. Throws `ApiError`. */
  async capture(
    request: object,
    onOctets: (octets: Uint8Array<ArrayBuffer>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#read("/capture", request, signal, onOctets);
  }

  async #read(
    path: string,
    request: object,
    signal: AbortSignal,
    onOctets: (octets: Uint8Array<ArrayBuffer>) => void,
  ): Promise<void> {
    const response = await this.#post(path, request, signal);
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        onOctets(value);
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof TypeError ? new ApiError(0, "the connection ended") : error;
    }
  }

  async #post(path: string, request: object, signal: AbortSignal | null): Promise<Response> {
    const headers = {
      authorization: `Bearer ${this.#token}`,
      "content-type": "application/json",
    };
    const body = JSON.stringify(request);
    let response: Response;
    try {
      response = await fetch(path, { method: "POST", headers, body, signal, cache: "no-store" });
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw new ApiError(0, "slirp-binding ui does not answer");
    }
    if (response.ok) return response;
    throw new ApiError(response.status, messageIn(await response.text()));
  }
}

/** Of an error of Connect's, or the text itself. */
function messageIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === "string") return message;
  } catch {
    // plain text
  }
  return text.trim();
}
