/** Questions and answers of DNS, octet by octet. */

/** A question for a name and a type. */
export function question(name: string, type = 1, id = 0x1234): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
  const head = [id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([...head, ...labels, 0, type >> 8, type & 0xff, 0, 1]);
}

/** An answer of one A record; `flags` are or-ed to the first octet of them. */
export function answerOf(asked: Uint8Array, address: readonly number[], flags = 0): Uint8Array {
  const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, ...address];
  const whole = Uint8Array.from([...asked, ...record]);
  whole[2] = 0x81 | flags;
  whole[7] = 1;
  return whole;
}
