/** What one option is. */

/** How one option looks to the person who gives it. */
export interface OptionRow {
  /** Long name without dashes. A name that begins with `no-` is an ordinary flag here. */
  readonly name: string;
  /** What follows the name, as the help shows it; a flag has none. */
  readonly argument?: string;
  /** May be given several times; in the environment its values are separated by commas. */
  readonly repeatable?: true;
  readonly description: string;
  /** Heading it stands under in the help. */
  readonly group: string;
}

/** Name of the environment variable that stands in for an option. */
export function environmentName(row: OptionRow): string {
  return `SLIRP_${row.name.toUpperCase().replaceAll("-", "_")}`;
}
