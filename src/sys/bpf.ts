/** Programs of classic BPF that decide about system calls. Source: bpf(4), seccomp(2). */

export interface Instruction {
  readonly code: number;
  readonly k: number;
  /** Instructions passed over when a comparison holds, and when it does not. */
  readonly yes?: number;
  readonly no?: number;
}

export const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS, from struct seccomp_data
export const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
export const JUMP = 0x05; // BPF_JMP | BPF_JA
export const JUMP_EQUAL = 0x15;
export const JUMP_ABOVE = 0x35; // or equal
export const RETURN = 0x06;
/** Instructions that one comparison can pass over. */
export const JUMP_MAX = 255;

/** struct seccomp_data: i32 number, u32 architecture, u64 instruction pointer, u64 arguments[6]. */
export const NUMBER_OFFSET = 0;
export const ARCHITECTURE_OFFSET = 4;
export const ARGUMENTS_OFFSET = 16;
export const ARGUMENT_SIZE = 8;

/** struct sock_filter. */
export const INSTRUCTION_SIZE = 8;

/** The program as the kernel reads it, an array of struct sock_filter. */
export function encode(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(program.length * INSTRUCTION_SIZE);
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, k, yes = 0, no = 0 }, index) => {
    const at = index * INSTRUCTION_SIZE;
    view.setUint16(at, code, true);
    view.setUint8(at + 2, yes);
    view.setUint8(at + 3, no);
    view.setUint32(at + 4, k, true);
  });
  return bytes;
}
