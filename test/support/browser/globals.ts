/**
 * The two globals of Node, Bun and Deno that the tests use and a browser lacks: `Buffer`, as far as
 * it makes text of octets, and `setImmediate`, which is a task of its own. Imported first.
 */

const utf8 = new TextDecoder();

class Octets extends Uint8Array {
  static override from(source: string | Iterable<number>): Octets {
    return new Octets(typeof source === "string" ? new TextEncoder().encode(source) : source);
  }

  static concat(parts: readonly Uint8Array[]): Octets {
    return Octets.from(parts.flatMap((part) => [...part]));
  }

  override toString(encoding: "utf8" | "hex" = "utf8"): string {
    if (encoding === "utf8") return utf8.decode(new Uint8Array(this));
    return Array.from(this, (octet) => octet.toString(16).padStart(2, "0")).join("");
  }

  // @ts-expect-error: of a typed array this takes a number.
  override includes(part: string | Uint8Array): boolean {
    return this.toString("hex").includes(Octets.from(part).toString("hex"));
  }
}

function setImmediate(work: () => void): void {
  const { port1, port2 } = new MessageChannel();
  const taken = (): void => {
    port1.close();
    work();
  };
  Object.assign(port1, { onmessage: taken });
  port2.postMessage(undefined);
}

Object.assign(globalThis, { Buffer: Octets, setImmediate });
