/**
 * The demonstration's own DNS zone: A records for the names it knows, over UDP, so that nothing
 * outside this machine is asked. Source: RFC 1035 §4.
 */
import { parseIpv4 } from "../../lib/addr.ts";

const HEADER = 12;
const TYPE_A = 1;
const CLASS_IN = 1;
/** Response, authoritative, recursion desired and available. */
const ANSWER_FLAGS = 0x8580;
const NO_SUCH_NAME = 3;
/** A pointer to the name of the question. */
const SAME_NAME = 0xc00c;
const LIFETIME_SECONDS = 60;

/** A question as it came; `end` is the offset behind it. */
interface Question {
  readonly name: string;
  readonly type: number;
  readonly kind: number;
  readonly end: number;
}

/** The answer to a message; undefined for one that is no question of ours to answer. */
export function answerQuestion(
  message: Uint8Array,
  zone: ReadonlyMap<string, string>,
): Uint8Array | undefined {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  if (message.length < HEADER || view.getUint16(4) !== 1 || view.getUint8(2) >>> 7 === 1) {
    return undefined;
  }
  const question = readQuestion(view);
  if (question === undefined) return undefined;
  const address = zone.get(question.name);
  const hasAnswer = address !== undefined && question.type === TYPE_A && question.kind === CLASS_IN;
  const reply = new Uint8Array(question.end + (hasAnswer ? 16 : 0));
  reply.set(message.subarray(0, question.end));
  const out = new DataView(reply.buffer);
  out.setUint16(2, ANSWER_FLAGS | (address === undefined ? NO_SUCH_NAME : 0));
  out.setUint16(6, hasAnswer ? 1 : 0);
  out.setUint32(8, 0);
  if (address === undefined || !hasAnswer) return reply;
  const at = question.end;
  out.setUint16(at, SAME_NAME);
  out.setUint16(at + 2, TYPE_A);
  out.setUint16(at + 4, CLASS_IN);
  out.setUint32(at + 6, LIFETIME_SECONDS);
  out.setUint16(at + 10, 4);
  out.setUint32(at + 12, parseIpv4(address));
  return reply;
}

function readQuestion(view: DataView): Question | undefined {
  const labels: string[] = [];
  let at = HEADER;
  for (;;) {
    if (at >= view.byteLength) return undefined;
    const length = view.getUint8(at);
    if (length > 63 || at + 1 + length > view.byteLength) return undefined;
    at += 1;
    if (length === 0) break;
    const octets = new Uint8Array(view.buffer, view.byteOffset + at, length);
    labels.push(new TextDecoder("latin1").decode(octets).toLowerCase());
    at += length;
  }
  if (at + 4 > view.byteLength) return undefined;
  const type = view.getUint16(at);
  return { name: labels.join("."), type, kind: view.getUint16(at + 2), end: at + 4 };
}
