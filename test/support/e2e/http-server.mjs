/**
 * HTTP server of the end-to-end tests: `http-server.mjs ADDRESS PORT`.
 *
 * GET /SEED/COUNT sends that seeded stream; PUT answers with JSON {count, sha256} of the body; any
 * other request gets the peer's address, which shows whose socket reached us.
 */

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import process from "node:process";
import { writeTo } from "./seeded.mjs";

const [address, port] = process.argv.slice(2);

async function serve(request, response) {
  if (request.method === "PUT") {
    const hash = createHash("sha256");
    let count = 0;
    for await (const chunk of request) {
      hash.update(chunk);
      count += chunk.length;
    }
    response.end(JSON.stringify({ count, sha256: hash.digest("hex") }));
    return;
  }
  const wanted = /^\/(\d+)\/(\d+)$/.exec(request.url);
  if (wanted === null) {
    response.end(`${request.socket.remoteAddress}\n`);
    return;
  }
  const [seed, count] = wanted.slice(1).map(Number);
  response.setHeader("content-length", count);
  await writeTo(response, seed, count, () => !response.destroyed);
  response.end();
}

const server = createServer((request, response) => {
  serve(request, response).catch(() => response.destroy());
});
server.listen(Number(port), address, () => console.log(`listening ${server.address().port}`));
