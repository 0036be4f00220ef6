/** The machine: v86 with a virtio network card, two serial ports and what the guest boots from. */
import type { V86, V86Options } from "v86";
import type { DemoSettings } from "../settings.ts";
import { Card } from "./card.ts";

const MEMORY_SIZE = 256 << 20;
const VIDEO_MEMORY_SIZE = 2 << 20;
const CONSOLE_PORT = 0;
const DESK_PORT = 1;

/**
 * Console, and what to leave out so that an emulated processor is up soon: self-tests of ciphers,
 * certificates of modules, ISA plug and play, places for tracing.
 */
const COMMAND_LINE = [
  ...["console=ttyS0", "quiet", "loglevel=1", "rdinit=/init", "panic=-1", "audit=0"],
  ...["mitigations=off", "tsc=reliable", "no_timer_check", "nokaslr", "nosmp", "noapic"],
  ...["random.trust_cpu=on", "cryptomgr.notests=1"],
  "initcall_blacklist=load_system_certificate_list,isapnp_init,init_kprobe_trace",
].join(" ");

export interface MachineSettings {
  readonly mtu: number;
  /** URL of a relay for v86's own network; without it the card is the page's. */
  readonly relay?: string;
}

function optionsOf(files: DemoSettings["files"], { mtu, relay }: MachineSettings): V86Options {
  return {
    wasm_path: files.emulator,
    memory_size: MEMORY_SIZE,
    vga_memory_size: VIDEO_MEMORY_SIZE,
    bios: { url: files.bios },
    vga_bios: { url: files.vgaBios },
    bzimage: { url: files.kernel },
    initrd: { url: files.initrd },
    cmdline: COMMAND_LINE,
    autostart: true,
    uart1: true,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
    net_device: { type: "virtio", mtu, ...(relay === undefined ? {} : { relay_url: relay }) },
  };
}

export class Machine {
  /** Absent where v86's own network has the card. */
  readonly card: Card | undefined;
  readonly #v86: V86;

  private constructor(v86: V86, card: Card | undefined) {
    this.#v86 = v86;
    this.card = card;
  }

  /** Loads the emulator and begins to load what the guest boots from. */
  static async start(files: DemoSettings["files"], settings: MachineSettings): Promise<Machine> {
    const library = (await import(files.library)) as typeof import("v86");
    const v86 = new library.V86(optionsOf(files, settings));
    return new Machine(v86, settings.relay === undefined ? new Card(v86) : undefined);
  }

  /** Has the processor stand still, or go on. */
  pause(isPaused: boolean): Promise<void> {
    return isPaused ? this.#v86.stop() : this.#v86.run();
  }

  /** Octets of the console, one by one. */
  onConsole(take: (octet: number) => void): void {
    this.#v86.add_listener("serial0-output-byte", take);
  }

  onDesk(take: (octet: number) => void): void {
    this.#v86.add_listener("serial1-output-byte", take);
  }

  typeIntoConsole(octets: Uint8Array): void {
    this.#v86.serial_send_bytes(CONSOLE_PORT, octets);
  }

  typeIntoDesk(octets: Uint8Array): void {
    this.#v86.serial_send_bytes(DESK_PORT, octets);
  }
}
