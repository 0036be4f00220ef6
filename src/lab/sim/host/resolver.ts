/**
 * The modelled resolver: knows every name, and answers with an address that follows from the name.
 */

const HEADER = 12;
const TTL_SECONDS = 60;

/** The answer to a DNS question for an address; undefined where it is none (RFC 1035 §4.1). */
export function answerQuestion(question: Uint8Array): Uint8Array | undefined {
  if (question.length < HEADER + 5 || ((question[2] ?? 0) & 0x80) !== 0) return undefined;
  const answer = new Uint8Array(question.length + 16);
  answer.set(question);
  answer[2] = 0x81;
  answer[3] = 0x80;
  answer[7] = 1;
  const address = nameAddress(question.subarray(HEADER, question.length - 4));
  const octets = [24, 16, 8, 0].map((shift) => (address >>> shift) & 255);
  answer.set([0xc0, HEADER, 0, 1, 0, 1, 0, 0, 0, TTL_SECONDS, 0, 4, ...octets], question.length);
  return answer;
}

/** Address of a name as it is written in a message: 198.19.x.y. */
export function nameAddress(name: Uint8Array): number {
  let sum = 0;
  for (const octet of name) sum = (sum * 31 + octet) & 0xffff;
  return (0xc6130000 | sum) >>> 0;
}
