/** Numbers as the reports of a run write them. */

/** Digits in groups of three. */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(?:[0-9]{3})+$)/g, ",");
}

/** @param octets octets per second */
export function formatRate(octets: number): string {
  const bits = octets * 8;
  if (bits >= 1e9) return `${(bits / 1e9).toFixed(2)} Gbit/s`;
  if (bits >= 1e6) return `${(bits / 1e6).toFixed(bits >= 1e8 ? 0 : 1)} Mbit/s`;
  return `${(bits / 1e3).toFixed(1)} kbit/s`;
}

export function formatSize(octets: number): string {
  if (octets >= 1e6) return `${(octets / 1e6).toFixed(1)} MB`;
  return octets >= 10_000 ? `${(octets / 1e3).toFixed(1)} kB` : `${formatCount(octets)} octets`;
}

/** A time in the unit that suits it; @param microseconds of virtual time */
export function formatTime(microseconds: number): string {
  if (microseconds >= 10_000_000) return `${(microseconds / 1e6).toFixed(1)} s`;
  if (microseconds >= 1_000_000) return `${(microseconds / 1e6).toFixed(2)} s`;
  if (microseconds >= 1000) return `${(microseconds / 1000).toFixed(1)} ms`;
  return `${Math.round(microseconds)} us`;
}
