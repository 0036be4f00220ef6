/** Splices of a text, which leave everything else byte for byte. */

/** Replaces the text from `start` to `end`. Offsets count UTF-16 units. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * Edits in the order of their places, checked not to overlap. Several at one place keep their
 * order, insertions before replacements.
 */
function sortEdits(edits: readonly Edit[]): readonly Edit[] {
  const sorted = [...edits].sort((a, b) => a.start - b.start || a.end - b.end);
  let at = 0;
  for (const { start, end } of sorted) {
    if (start < at) throw new Error(`Internal error: edits overlap at ${start}`);
    at = end;
  }
  return sorted;
}

/** Applies edits that do not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const edit of sortEdits(edits)) {
    parts.push(text.slice(at, edit.start), edit.text);
    at = edit.end;
  }
  parts.push(text.slice(at));
  return parts.join("");
}

/**
 * Applies edits to the UTF-8 octets that `text` was decoded from: unchanged octets are copied once,
 * and the changed text never exists as a string.
 */
export function applyEditsToUtf8(
  bytes: Uint8Array,
  text: string,
  edits: readonly Edit[],
): Uint8Array {
  const isAscii = bytes.length === text.length;
  const sizeOf = (start: number, end: number): number =>
    isAscii ? end - start : Buffer.byteLength(text.slice(start, end));
  const sorted = sortEdits(edits);
  let size = bytes.length;
  for (const { start, end, text: added } of sorted) {
    size += Buffer.byteLength(added) - sizeOf(start, end);
  }
  const before = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const after = Buffer.allocUnsafe(size);
  let from = 0;
  let to = 0;
  let at = 0;
  for (const edit of sorted) {
    const kept = sizeOf(at, edit.start);
    to += before.copy(after, to, from, from + kept);
    to += after.write(edit.text, to);
    from += kept + sizeOf(edit.start, edit.end);
    at = edit.end;
  }
  to += before.copy(after, to, from);
  if (to !== size) throw new Error(`Internal error: ${to} octets written of ${size}`);
  return after;
}

/** Text as a value between double quotes. White space other than blanks would be normalised. */
export function escapeAttribute(text: string): string {
  return text.replace(/[&<>"\t\r\n]/g, (unit) => `&#${unit.charCodeAt(0)};`);
}
