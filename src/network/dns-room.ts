/**
 * Answers of name servers that a datagram to the guest has no room for: an upstream resolves
 * without knowing which way the question came. What is too long is cut after the question and
 * marked so, and the guest asks again by TCP.
 *
 * Source: RFC 1035 §4.2.1 (512 octets), RFC 2181 §9 (TC), RFC 6891 §6.1.2, §6.2.3 (OPT).
 */
import { HEADER_SIZE, readQuestion, readU16 } from "./dns-message.ts";

const ROOM_MIN = 512;
const TYPE_OPT = 41;
/** Name, type and class of an OPT record. */
const OPT_HEAD_SIZE = 5;
/** Of octet 2. */
const FLAG_CUT = 0x02;
const COUNTS = { questions: 4, answers: 6, authorities: 8, additional: 10 } as const;

/** The answer, or what goes in its place. */
export function fitted(answer: Uint8Array, question: Uint8Array): Uint8Array {
  if (answer.length <= roomOf(question)) return answer;
  const end = readQuestion(answer)?.end;
  const cut = answer.slice(0, end ?? HEADER_SIZE);
  cut[2] = (cut[2] ?? 0) | FLAG_CUT;
  cut.fill(0, end === undefined ? COUNTS.questions : COUNTS.answers, HEADER_SIZE);
  return cut;
}

/** Octets that the asker takes: what its OPT record says, where that comes first of all records. */
function roomOf(question: Uint8Array): number {
  const at = readQuestion(question)?.end;
  if (at === undefined || at + OPT_HEAD_SIZE > question.length) return ROOM_MIN;
  const isFirst = readU16(question, COUNTS.answers) + readU16(question, COUNTS.authorities) === 0;
  const isOpt = question[at] === 0 && readU16(question, at + 1) === TYPE_OPT;
  if (!isFirst || !isOpt || readU16(question, COUNTS.additional) === 0) return ROOM_MIN;
  return Math.max(ROOM_MIN, readU16(question, at + 3));
}
