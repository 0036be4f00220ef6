/**
 * Reads the fields of a QEMU option that matter here, from `type,key=value,…` or a JSON object.
 * The value may be of any size, so only the keys below are read.
 */

const KEYS = ["addr", "bus", "id", "netdev"];
/** A field has a key and an equals sign at least. */
const MARK_SIZE_MIN = "id".length;
const TYPE_SIZE_MAX = 256;
const FIELD_SIZE_MAX = 256;
/** Ours are behind the type, and so are others' as a rule; a netdev can have thousands of ports. */
const FIELD_COUNT_MAX = 8192;
/** UTF-16 units of an object's JSON; libvirt's and ours have some 300. */
const JSON_SIZE_MAX = 16 * 1024;

/** The fields that are there, of `addr`, `bus`, `id`, `netdev` and the leading `type`. */
export function readFields(value: string): ReadonlyMap<string, string> {
  if (value.startsWith("{")) return readJson(value);
  const fields = new Map<string, string>();
  const typeEnd = endOf(value, 0);
  fields.set("type", value.slice(0, Math.min(typeEnd, TYPE_SIZE_MAX)));
  let count = 1;
  for (let at = typeEnd + 1; at < value.length && count < FIELD_COUNT_MAX; count += 1) {
    const end = endOf(value, at);
    if (end - at > MARK_SIZE_MIN && end - at <= FIELD_SIZE_MAX) {
      const field = value.slice(at, end);
      const key = KEYS.find((each) => field.startsWith(`${each}=`));
      if (key !== undefined) fields.set(key, field.slice(key.length + 1));
    }
    at = end + 1;
  }
  return fields;
}

function endOf(value: string, at: number): number {
  const comma = value.indexOf(",", at);
  return comma < 0 ? value.length : comma;
}

function readJson(value: string): ReadonlyMap<string, string> {
  if (value.length > JSON_SIZE_MAX) return new Map();
  try {
    const object: unknown = JSON.parse(value);
    if (typeof object !== "object" || object === null) return new Map();
    const entries = Object.entries(object).filter(([key]) => key === "type" || KEYS.includes(key));
    return new Map(entries.map(([key, each]) => [key, String(each)]));
  } catch {
    return new Map();
  }
}
