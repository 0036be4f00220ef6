/**
 * A door into a namespace: `relay.mjs PATH ADDRESS PORT` listens on a unix socket, which anybody
 * reaches by its path, and passes each connection on to a TCP port. An end on one side is an end on
 * the other; a port that refuses ends the connection at once.
 */

import { connect, createServer } from "node:net";
import process from "node:process";

const [path, address, port] = process.argv.slice(2);

const server = createServer({ noDelay: true }, (inside) => {
  const outside = connect(Number(port), address);
  outside.setNoDelay(true);
  for (const [from, to] of [
    [inside, outside],
    [outside, inside],
  ]) {
    from.on("error", () => {});
    from.on("close", () => to.destroy());
    from.pipe(to);
  }
});
server.listen(path, () => console.log("listening 0"));
