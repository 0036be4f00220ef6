/** The guest's console in the page. */
import { Terminal as Screen } from "@xterm/xterm";
import { h, panel } from "../../../src/ui/browser/dom.ts";

/** Columns and rows; the guest's shell assumes them, as a serial port has no size. */
const SIZE = { cols: 80, rows: 24 };

export class Terminal {
  readonly element = panel("terminal", "Console of the guest");
  readonly #screen = new Screen({
    ...SIZE,
    fontSize: 13,
    fontFamily: 'ui-monospace, "DejaVu Sans Mono", monospace',
    screenReaderMode: true,
    theme: { background: "#10161c", foreground: "#e4eaf0", cursor: "#62b6f0" },
  });
  readonly #place = h("div", { class: "screen" });

  /** @param onKeys what is typed, as octets */
  constructor(onKeys: (octets: Uint8Array) => void) {
    const about = "A shell on the serial port. Try: ip addr, ping 10.0.2.2, nc shell.demo.test 22";
    this.element.append(this.#place, h("p", { class: "about" }, about));
    const encoder = new TextEncoder();
    this.#screen.onData((text) => onKeys(encoder.encode(text)));
  }

  /** The element has to be in the document. */
  open(): void {
    this.#screen.open(this.#place);
  }

  focus(): void {
    this.#screen.focus();
  }

  write(octet: number): void {
    this.#screen.write(Uint8Array.of(octet));
  }

  say(line: string): void {
    this.#screen.write(`${line}\r\n`);
  }

  /** What is on the screen and above it, for tests. */
  get text(): string {
    const { active } = this.#screen.buffer;
    const lines = Array.from({ length: active.length }, (_, i) => {
      return active.getLine(i)?.translateToString(true) ?? "";
    });
    return lines.join("\n");
  }
}
