/** What the server tells the page: where everything is. */
export interface DemoSettings {
  /** Paths on the page's origin. */
  readonly files: {
    /** v86's script and its WebAssembly. */
    readonly library: string;
    readonly emulator: string;
    readonly engine: string;
    readonly kernel: string;
    readonly initrd: string;
    readonly bios: string;
    readonly vgaBios: string;
  };
  /** URL of the Wisp relay. */
  readonly relay: string;
}
