/**
 * The world that the guest reaches: an HTTP server with files of any size and a place to upload to,
 * and a server that answers keystrokes as a remote shell does. Both on loopback.
 *
 *     GET  /files/SIZE      that many octets, the same every time
 *     GET  /sums/SIZE       their SHA-256 in hexadecimal
 *     POST /upload          answers "SHA-256 SIZE" of what came
 */
import { createHash } from "node:crypto";
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { listen } from "./listen.ts";

const FILE_SIZE_MAX = 1 << 30;
const BLOCK_SIZE = 1 << 20;
const CARRIAGE_RETURN = 13;
const LINE_FEED = 10;
const LINE_MAX = 4096;

/** Octets of a file repeat after a block, whose length no window or segment divides. */
const BLOCK = Buffer.alloc(BLOCK_SIZE - 1);
for (let i = 0, x = 1; i < BLOCK.length; i += 1) {
  x = Math.imul(x, 1_664_525) + 1_013_904_223;
  BLOCK[i] = x >>> 24;
}

/** The pieces of the file of that size. */
function* pieces(size: number): Generator<Buffer> {
  for (let left = size; left > 0; left -= BLOCK.length) yield BLOCK.subarray(0, left);
}

export function sumOf(size: number): string {
  const hash = createHash("sha256");
  for (const piece of pieces(size)) hash.update(piece);
  return hash.digest("hex");
}

export async function openWeb(): Promise<Server> {
  const server = createHttp((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await listen(server);
  return server;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = "" } = request;
  if (method === "POST" && url === "/upload") {
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
    }
    response.end(`${hash.digest("hex")} ${size}\n`);
    return;
  }
  const [, kind, digits = ""] = /^\/(files|sums)\/(\d+)$/.exec(url) ?? [];
  const size = Number(digits);
  if (kind === undefined || size > FILE_SIZE_MAX) {
    response.writeHead(404).end("There is no such file.\n");
    return;
  }
  if (kind === "sums") {
    response.end(`${sumOf(size)}\n`);
    return;
  }
  response.writeHead(200, { "Content-Length": size, "Content-Type": "application/octet-stream" });
  await pipeline(Readable.from(pieces(size), { objectMode: false }), response);
}

/** Answers each keystroke with the same one, and a line with what it was. */
export async function openShell(): Promise<Server> {
  const server = createServer({ noDelay: true }, (socket) => converse(socket));
  await listen(server);
  return server;
}

function converse(socket: Socket): void {
  let line = "";
  socket.on("error", () => socket.destroy());
  socket.write("Keys come back one by one, and lines with their length.\r\n$ ");
  socket.on("data", (keys: Buffer) => {
    for (const key of keys) {
      if (key === CARRIAGE_RETURN || key === LINE_FEED) {
        socket.write(`\r\n${line.length} characters: ${line}\r\n$ `);
        line = "";
      } else if (line.length < LINE_MAX) {
        line += String.fromCharCode(key);
        socket.write(Buffer.of(key));
      }
    }
  });
}
