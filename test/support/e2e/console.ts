/** A serial console that listens on a unix socket, as QEMU's of libvirt does. */
import { connect } from "node:net";
import type { GuestConsole } from "../qemu.ts";

/** Connects; what is printed from now on is kept. */
export function openConsole(path: string): Promise<GuestConsole> {
  return new Promise((resolve, reject) => {
    let printed = "";
    let hasEnded = false;
    const socket = connect(path);
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      printed += text;
    });
    socket.on("error", reject);
    socket.on("close", () => {
      hasEnded = true;
    });
    socket.once("connect", () =>
      resolve({
        write: (text) => void socket.write(text),
        stdout: () => printed,
        stderr: () => "",
        ended: () => hasEnded,
      }),
    );
  });
}
