/**
 * Starts all that the demonstration needs, on loopback: the page's origin, the relay with its
 * delay, and the servers that the guest reaches through it.
 */
import type { Server } from "node:net";
import { SHELL_ADDRESS, SHELL_NAME, SHELL_PORT, WEB_ADDRESS, WEB_NAME } from "./addresses.ts";
import { buildPage, FILES } from "./build.ts";
import { openDelayed } from "./server/delay.ts";
import { closerOf, portOf } from "./server/listen.ts";
import { openPages } from "./server/pages.ts";
import { type Destination, openRelay } from "./server/relay.ts";
import { openShell, openWeb } from "./server/world.ts";
import type { DemoSettings } from "./settings.ts";

/** The relay is half a continent away: milliseconds each way. */
const DELAY_ms = 25;

export interface Demo {
  /** Of the page. */
  readonly url: string;
  close(): Promise<void>;
}

export async function startDemo(delay_ms = DELAY_ms): Promise<Demo> {
  const files = buildPage();
  const closers: (() => Promise<void>)[] = [];
  const opened = (server: Server): Server => {
    closers.push(closerOf(server));
    return server;
  };
  const close = async (): Promise<void> => {
    await Promise.all(closers.map((end) => end()));
  };
  try {
    const web = opened(await openWeb());
    const shell = opened(await openShell());
    const destinations: Destination[] = [
      { name: WEB_NAME, address: WEB_ADDRESS, port: 80, localPort: portOf(web) },
      { name: SHELL_NAME, address: SHELL_ADDRESS, port: SHELL_PORT, localPort: portOf(shell) },
    ];
    const relay = opened(await openRelay(destinations));
    const far = opened(await openDelayed(portOf(relay), delay_ms));
    const relayOrigin = `ws://127.0.0.1:${portOf(far)}`;
    const settings: DemoSettings = { files: FILES, relay: `${relayOrigin}/` };
    files.set("/settings.json", { type: "application/json", text: JSON.stringify(settings) });
    const pages = opened(await openPages({ files, connectTo: [relayOrigin], destinations }));
    return { url: `http://127.0.0.1:${portOf(pages)}/`, close };
  } catch (error) {
    await close();
    throw error;
  }
}
