/**
 * Runs a seccomp filter as the kernel does, one instruction after the other: the instructions that
 * filters of this project are made of. Source: bpf(4), seccomp(2).
 */

export const X86_64 = 0xc000_003e;
export const AARCH64 = 0xc000_00b7;
export const ALLOW = 0x7fff_0000;
export const KILL = 0x8000_0000;
export const ENOSYS = 0x0005_0026;
export const EPERM = 0x0005_0001;

/** The filter's answer to a call by number, with these arguments. */
export function answerOf(
  filter: Uint8Array,
  number: number,
  args: readonly bigint[] = [],
  architecture = X86_64,
): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, architecture, true);
  args.forEach((value, index) => {
    data.setBigUint64(16 + 8 * index, value, true);
  });
  const code = new DataView(filter.buffer, filter.byteOffset, filter.length);
  let accumulator = 0;
  for (let at = 0; at < filter.length; at += 8) {
    const k = code.getUint32(at + 4, true);
    const jump = (holds: boolean): number => 8 * code.getUint8(at + (holds ? 2 : 3));
    switch (code.getUint16(at, true)) {
      case 0x20:
        accumulator = data.getUint32(k, true);
        break;
      case 0x54:
        accumulator = (accumulator & k) >>> 0;
        break;
      case 0x05:
        at += 8 * k;
        break;
      case 0x15:
        at += jump(accumulator === k);
        break;
      case 0x35:
        at += jump(accumulator >= k);
        break;
      case 0x06:
        return k;
      default:
        throw new Error(`instruction ${at / 8} is not one of ours`);
    }
  }
  throw new Error("the filter has no end");
}
