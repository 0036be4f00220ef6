/**
 * A network for a guest of QEMU: this machine's network, by Node's sockets and without any rights.
 *
 *     node examples/node-qemu.mjs /tmp/net.sock
 *     qemu-system-x86_64 … -device virtio-net-pci,netdev=n \
 *       -netdev stream,id=n,server=off,addr.type=unix,addr.path=/tmp/net.sock
 *
 * With a second argument, port 2222 of this machine leads to that port of the guest: 22.
 */
import { createServer } from "node:net";
import process from "node:process";
import { createNetwork } from "slirp-engine";
import { nodeUpstream, publish, readEngine, serveStream } from "slirp-engine/node";

const [path, guestPort] = process.argv.slice(2);
if (!path) {
  console.error("usage: node node-qemu.mjs PATH [PORT-OF-THE-GUEST]");
  process.exit(2);
}
const network = await createNetwork({ engine: await readEngine(), upstream: nodeUpstream() });
if (guestPort) await publish(network, { port: 2222, guestPort: Number(guestPort) });
const server = createServer(async (socket) => {
  console.log("a guest has come");
  const end = await serveStream(network, socket).catch((error) => error.message);
  console.log(`it has gone${end ? `: ${end}` : ""}`);
});
server.listen(path, () => console.log(`serving a guest at ${path}`));
