/** The text of a gRPC status, as HTTP/2 carries it. */

/** Percent-encoding as gRPC has it: printable ASCII but "%" stays. */
export function encodeStatusText(text: string): string {
  return text.replace(/[^ -$&-~]+/g, encodeURIComponent);
}
