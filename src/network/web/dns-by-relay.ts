/**
 * Questions to a name server that a relay reaches: by UDP, and by TCP when the answer was cut short
 * or the relay has no UDP. Source: RFC 1035 §4.2, RFC 7766 §5.
 */
import { joined } from "../../upstream/messages.ts";
import { isAnswer, isTruncated, readU16 } from "../dns-message.ts";
import type { Host } from "../host.ts";
import { END, type Endpoint, type TcpSocket, type UdpSocket, type Upstream } from "../upstream.ts";

const TIMEOUT_US = 4_000_000;
const PART_SIZE = 4096;

/** Rejects where there is no answer in time. */
export async function askByRelay(
  server: Endpoint,
  question: Uint8Array,
  relay: Upstream,
  host: Host,
): Promise<Uint8Array> {
  const answer = await askByUdp(server, question, relay, host);
  if (answer !== undefined && !isTruncated(answer)) return answer;
  return askByTcp(server, question, relay, host);
}

/** undefined = no way for datagrams. */
function askByUdp(
  server: Endpoint,
  question: Uint8Array,
  relay: Upstream,
  host: Host,
): Promise<Uint8Array | undefined> {
  return within(host, (resolve, _reject, onEnd) => {
    let socket: UdpSocket | undefined;
    const events = {
      readable: (): void => {
        for (let got = socket?.receive(); got !== undefined; got = socket?.receive()) {
          if (isAnswer(got.payload, question)) resolve(got.payload);
        }
      },
      refused: (): void => resolve(undefined),
    };
    const family = server.address.includes(":") ? 6 : 4;
    socket = relay.openUdp({ family, port: 0, peer: server }, events);
    onEnd(() => socket?.close());
    if (socket?.send(question, server) !== true) resolve(undefined);
  });
}

function askByTcp(
  server: Endpoint,
  question: Uint8Array,
  relay: Upstream,
  host: Host,
): Promise<Uint8Array> {
  return within(host, (resolve, reject, onEnd) => {
    let unsent = joined([Uint8Array.of(question.length >> 8, question.length), question]);
    let answer = new Uint8Array(0);
    let socket: TcpSocket | undefined;
    const send = (): void => {
      const taken = unsent.length === 0 ? 0 : (socket?.send([unsent]) ?? 0);
      unsent = unsent.subarray(taken);
    };
    const read = (): void => {
      const part = new Uint8Array(PART_SIZE);
      for (let got = socket?.receive([part]) ?? 0; got !== 0; got = socket?.receive([part]) ?? 0) {
        if (got === END) {
          reject(new Error("the name server has closed the connection"));
          return;
        }
        answer = joined([answer, part.subarray(0, got)]);
        const end = 2 + readU16(answer, 0);
        if (answer.length < 2 || answer.length < end) continue;
        const message = answer.slice(2, end);
        if (isAnswer(message, question)) resolve(message);
        else reject(new Error("the name server answers something else"));
        return;
      }
    };
    socket = relay.connect(
      { ...server, tos: 0 },
      {
        connected: send,
        writable: send,
        readable: read,
        failed: (code) => reject(new Error(`no way to the name server: ${code}`)),
      },
    );
    onEnd(() => socket?.close(true));
    send();
  });
}

/** Runs what settles in time, or has it rejected; `onEnd` says what is to be done after it. */
function within<T>(
  host: Host,
  run: (
    resolve: (value: T) => void,
    reject: (error: Error) => void,
    onEnd: (end: () => void) => void,
  ) => void,
): Promise<T> {
  const ends: (() => void)[] = [];
  const promise = new Promise<T>((resolve, reject) => {
    ends.push(host.after(TIMEOUT_US, () => reject(new Error("the name server does not answer"))));
    run(resolve, reject, (end) => ends.push(end));
  });
  return promise.finally(() => {
    for (const end of ends) end();
  });
}
