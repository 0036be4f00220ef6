/** How far a transfer is, as text. */

const BAR_WIDTH = 24;

/** A progress bar; `share` is 0 to 1. */
export function bar(share: number): string {
  const whole = Math.min(Math.max(share, 0), 1);
  const filled = Math.round(whole * BAR_WIDTH);
  return `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}] ${Math.floor(whole * 100)} %`;
}

/** Bits per second in words. */
export function formatRate(bits: number): string {
  if (bits >= 1e9) return `${(bits / 1e9).toFixed(2)} Gbit/s`;
  return `${(bits / 1e6).toFixed(bits >= 1e8 ? 0 : 1)} Mbit/s`;
}
