/** Numbers as people read them. Widths are small, and digits say what they can: three of them. */

const PREFIXES = ["", "K", "M", "G", "T", "P"] as const;
const KIBI = 1024;
export const US_PER_MS = 1000;
export const US_PER_SECOND = 1_000_000;

/** Octets with binary prefixes: `999`, `1.5K`, `23M`. */
export function octetsText(octets: number): string {
  let value = octets;
  let power = 0;
  while (value >= 999.5 && power < PREFIXES.length - 1) {
    value /= KIBI;
    power += 1;
  }
  return `${power === 0 ? Math.round(value) : threeDigits(value)}${PREFIXES[power]}`;
}

function threeDigits(value: number): string {
  return value < 9.95 ? value.toFixed(1) : String(Math.round(value));
}

/** A length of time, microseconds: `250us`, `1.5ms`, `12s`, `3m07s`, `2h05m`, `9d04h`. */
export function durationText(us: number): string {
  if (us < US_PER_MS) return `${Math.round(us)}us`;
  if (us < US_PER_SECOND) return `${threeDigits(us / US_PER_MS)}ms`;
  const seconds = us / US_PER_SECOND;
  if (seconds < 10) return `${threeDigits(seconds)}s`;
  return longText(Math.round(seconds));
}

function longText(seconds: number): string {
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (minutes === 0) return `${seconds}s`;
  if (hours === 0) return `${minutes}m${twoDigits(seconds % 60)}s`;
  if (hours < 24) return `${hours}h${twoDigits(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${twoDigits(hours % 24)}h`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

/** A time as the log has it, UTC. @param us microseconds since 1970 */
export function timeText(us: number | bigint): string {
  const date = new Date(Number(us) / US_PER_MS);
  return Number.isNaN(date.getTime()) ? "?" : date.toISOString();
}

/** A measured value as it is, without digits that say nothing. */
export function numberText(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

/** An address and a port: `192.0.2.1:80`, `[2001:db8::1]:80`; empty where there is none. */
export function endText(address: string, port: number): string {
  if (address === "") return "";
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
