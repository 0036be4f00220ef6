/**
 * An HTTP server with one file, whatever path is asked for, on all addresses.
 *
 *     node file-server.mjs FILE
 *
 * Prints its port, then a line for each request: method and address of the client.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import process from "node:process";

const content = readFileSync(process.argv[2] ?? "");
const server = createServer((request, response) => {
  process.stdout.write(`${request.method} ${request.socket.remoteAddress}\n`);
  response.setHeader("content-type", "application/efi");
  response.setHeader("content-length", content.length);
  response.end(request.method === "HEAD" ? undefined : content);
});
server.listen(0, "::", () => process.stdout.write(`${server.address().port}\n`));
