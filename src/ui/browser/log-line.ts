/** A line of the log for people: JSON is taken apart, words are left as they are. Pure. */

export interface ReadLine {
  /** error, warn, info or debug; empty where it is not known. */
  readonly level: string;
  /** Time of day, as the line has it. */
  readonly time: string;
  readonly message: string;
  /** All else that the line says. */
  readonly fields: string;
}

/** Fields that say the same in every line, or are shown otherwise. */
const SHOWN = new Set(["level", "timestamp", "time", "msg", "component", "pos", "event"]);
const TIME = /(\d\d:\d\d:\d\d)/;
const LEVEL = /\b(?:error|warn|info|debug)\b/i;

export function readLine(text: string): ReadLine {
  const fields = parse(text);
  if (fields === undefined) {
    // Words begin with time and level; neither is looked for further on.
    const [level = ""] = LEVEL.exec(text.slice(0, 60)) ?? [];
    return { level: level.toLowerCase(), time: "", message: text, fields: "" };
  }
  const { level = "", timestamp, time, msg } = fields;
  const [clock = ""] = TIME.exec(String(timestamp ?? time ?? "")) ?? [];
  const rest = Object.entries(fields).filter(([name]) => !SHOWN.has(name));
  const told = rest.map(([name, value]) => {
    return `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`;
  });
  const message = typeof msg === "string" ? msg : text;
  return { level: String(level), time: clock, message, fields: told.join(" ") };
}

function parse(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null ? { ...json } : undefined;
  } catch {
    return undefined;
  }
}
