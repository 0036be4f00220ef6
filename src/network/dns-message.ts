/** As much of a DNS message as is needed to know what it asks. Source: RFC 1035 §4.1. */

export const HEADER_SIZE = 12;
const LABEL_MAX = 63;
const NAME_MAX = 255;

export interface Question {
  /** In lower case, without a dot at its end. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Where it ends in the message, octets. */
  readonly end: number;
}

/** The only question of a message; undefined = it has not exactly one, or none that is sound. */
export function readQuestion(message: Uint8Array): Question | undefined {
  if (message.length < HEADER_SIZE || readU16(message, 4) !== 1) return undefined;
  const labels: string[] = [];
  let at = HEADER_SIZE;
  for (let size = message[at] ?? 0; size !== 0; size = message[at] ?? 0) {
    const end = at + 1 + size;
    if (size > LABEL_MAX || end >= message.length || end - HEADER_SIZE > NAME_MAX) return undefined;
    labels.push(String.fromCharCode(...message.subarray(at + 1, end)).toLowerCase());
    at = end;
  }
  const end = at + 5;
  if (end > message.length) return undefined;
  const [type, klass] = [readU16(message, at + 1), readU16(message, at + 3)];
  return { name: labels.join("."), type, class: klass, end };
}

/** Whether `answer` answers `question`: same number, same name and type. */
export function isAnswer(answer: Uint8Array, question: Uint8Array): boolean {
  if (answer.length < HEADER_SIZE || ((answer[2] ?? 0) & 0x80) === 0) return false;
  if (readU16(answer, 0) !== readU16(question, 0)) return false;
  const [asked, told] = [readQuestion(question), readQuestion(answer)];
  if (told === undefined) return readU16(answer, 4) === 0; // as some errors have it
  return asked?.name === told.name && asked.type === told.type;
}

/** Whether an answer was cut short, to be asked for by TCP. */
export function isTruncated(answer: Uint8Array): boolean {
  return ((answer[2] ?? 0) & 0x02) !== 0;
}

/** Two octets of a message, as a number. */
export function readU16(octets: Uint8Array, at: number): number {
  return ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0);
}
