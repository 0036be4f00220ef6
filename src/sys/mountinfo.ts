/** /proc/PID/mountinfo, read. Source: proc_pid_mountinfo(5). */

/** A mount, as a process sees it. */
export interface MountPoint {
  /** What of its file system is mounted. */
  readonly root: string;
  readonly point: string;
  readonly type: string;
  /** Of the file system, comma-separated. */
  readonly options: string;
}

/** Id, parent, device, root, point, options, any number of fields, "-", type, source, options. */
const LINE = /^\S+ \S+ \S+ (\S+) (\S+) .*? - (\S+) \S* (\S+)$/gm;

type Fields = [root: string, point: string, type: string, options: string];

/** The mounts in the order of the text; lines that are none are left out. */
export function parseMounts(text: string): MountPoint[] {
  return [...text.matchAll(LINE)].map((found) => {
    const [root, point, type, options] = found.slice(1).map(unescapeField) as Fields;
    return { root, point, type, options };
  });
}

/** Space, tab, newline and backslash are written as octal numbers. */
function unescapeField(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
