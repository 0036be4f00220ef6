/**
 * A DNS query by hand (RFC 1035 section 4): `dns-client.mjs udp|tcp SERVER NAME TYPE [EDNS_BYTES]`.
 *
 * Prints {rcode, truncated, answers, bytes, address}; `address` is the first A record's, or "".
 * Over UDP an unanswered query is sent up to five times, over TCP once.
 */

import { createSocket } from "node:dgram";
import { connect } from "node:net";
import process from "node:process";

const [transport, server, name, type, ednsBytes] = process.argv.slice(2);
const TYPE = server.includes(":") ? "udp6" : "udp4";
const PORT = 53;
const ID = 0x5a5a;
const TRIES = 5;
const TRY_MS = 1000;
const TYPES = { A: 1, TXT: 16 };

function query() {
  const labels = name.split(".").map((label) => [label.length, ...Buffer.from(label)]);
  const question = [...labels.flat(), 0, 0, TYPES[type], 0, 1];
  const edns =
    ednsBytes === undefined
      ? []
      : [0, 0, 41, Number(ednsBytes) >> 8, Number(ednsBytes) & 255, 0, 0, 0, 0, 0, 0];
  const head = [ID >> 8, ID & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns.length > 0 ? 1 : 0];
  return Buffer.from([...head, ...question, ...edns]);
}

function skipName(message, start) {
  let at = start;
  while (message[at] !== 0) {
    if (message[at] >= 0xc0) {
      return at + 2;
    }
    at += 1 + message[at];
  }
  return at + 1;
}

function report(message) {
  const answers = message.readUInt16BE(6);
  let at = skipName(message, 12) + 4;
  let address = "";
  for (let index = 0; index < answers; index += 1) {
    at = skipName(message, at);
    const length = message.readUInt16BE(at + 8);
    if (message.readUInt16BE(at) === TYPES.A && address === "") {
      address = [...message.subarray(at + 10, at + 14)].join(".");
    }
    at += 10 + length;
  }
  const flags = message.readUInt16BE(2);
  const truncated = (flags & 0x0200) !== 0;
  console.log(
    JSON.stringify({ rcode: flags & 15, truncated, answers, bytes: message.length, address }),
  );
}

function overUdp() {
  const socket = createSocket(TYPE);
  let tries = 0;
  const send = () => {
    tries += 1;
    if (tries > TRIES) {
      console.error("no answer");
      process.exit(1);
    }
    socket.send(query(), PORT, server);
  };
  const timer = setInterval(send, TRY_MS);
  socket.on("message", (message) => {
    if (message.readUInt16BE(0) === ID) {
      clearInterval(timer);
      socket.close();
      report(message);
    }
  });
  send();
}

function overTcp() {
  const bytes = query();
  const socket = connect(PORT, server);
  let got = Buffer.alloc(0);
  socket.write(Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]));
  socket.on("error", (error) => {
    console.error(error.code);
    process.exit(1);
  });
  socket.on("data", (chunk) => {
    got = Buffer.concat([got, chunk]);
    if (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) {
      socket.end();
      report(got.subarray(2));
    }
  });
}

transport === "tcp" ? overTcp() : overUdp();
