/** Types of seeded.mjs, which is plain JavaScript because namespaces run it with bare Node. */
export function blocks(seed: number, count: number): Generator<Buffer, void, void>;
export function sha256Of(seed: number, count: number): string;
export function writeTo(
  writable: NodeJS.WritableStream,
  seed: number,
  count: number,
  goOn?: () => boolean,
): Promise<void>;
