/**
 * Protobuf by hand, so that tests of generated code do not trust it: field numbers and octets are
 * what KubeVirt's own files say, written down here and in the tests once more.
 * Source: protobuf.dev, "Encoding": varints and length-delimited fields.
 */

const LENGTH_DELIMITED = 2;
const VARINT = 0;

/** One field as it stands in a message. */
export interface Field {
  readonly number: number;
  readonly value: Buffer | number;
}

/** A message of length-delimited fields, in the order given. */
export function message(...fields: readonly (readonly [number, Uint8Array | string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      const bytes = Buffer.from(value);
      return [varint((number << 3) | LENGTH_DELIMITED), varint(bytes.length), bytes];
    }),
  );
}

/** The fields of a message in their order. Throws on any other wire type. */
export function fields(bytes: Uint8Array): Field[] {
  const found: Field[] = [];
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const octet = bytes[at] ?? Number.NaN;
      at += 1;
      value += (octet & 0x7f) * 2 ** shift;
      if (Number.isNaN(octet)) throw new Error("a varint has no end");
      if (octet < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = next();
    const number = tag >>> 3;
    if ((tag & 7) === VARINT) {
      found.push({ number, value: next() });
    } else if ((tag & 7) === LENGTH_DELIMITED) {
      const length = next();
      if (at + length > bytes.length) throw new Error(`field ${number} has no end`);
      found.push({ number, value: Buffer.from(bytes.subarray(at, at + length)) });
      at += length;
    } else {
      throw new Error(`field ${number} has wire type ${tag & 7}`);
    }
  }
  return found;
}

function varint(value: number): Buffer {
  const octets: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...octets, rest]);
    octets.push((rest % 128) | 0x80);
  }
}
