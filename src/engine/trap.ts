/**
 * What a checked engine says when one of its assertions fails: which file, which line, and why
 * (`wasm/trap.ts`). A trap by itself says no more than "unreachable".
 */
type EngineExports = WebAssembly.Instance["exports"];

/** Octets before a string of AssemblyScript that hold its length in octets. */
const LENGTH_SIZE = 4;

function globalOf(exports: EngineExports, name: string): number {
  const value = exports[name];
  return value instanceof WebAssembly.Global ? Number(value.value) : 0;
}

/** The string at that address; empty for address 0. */
function stringAt(memory: WebAssembly.Memory, address: number): string {
  if (address === 0) return "";
  const size = new DataView(memory.buffer).getUint32(address - LENGTH_SIZE, true);
  return new TextDecoder("utf-16le").decode(new Uint8Array(memory.buffer, address, size));
}

/** Whether assertions are on in this build of the engine. */
export function isChecked(exports: EngineExports): boolean {
  return globalOf(exports, "CHECKED") !== 0;
}

/**
 * The functions of a checked engine, which throw a `WebAssembly.RuntimeError` that says which
 * assertion has failed; the trap itself is its cause.
 */
export function explained<Functions extends object>(
  functions: Functions,
  exports: EngineExports,
  memory: WebAssembly.Memory,
): Functions {
  const explain = (trap: unknown): unknown => {
    const line = globalOf(exports, "trapLine");
    const file = stringAt(memory, globalOf(exports, "trapFile"));
    if (line === 0 || file === "") return trap;
    const message = stringAt(memory, globalOf(exports, "trapMessage"));
    const text = `assertion failed at ${file}:${line}${message === "" ? "" : `: ${message}`}`;
    const error = new WebAssembly.RuntimeError(text);
    error.cause = trap;
    return error;
  };
  const wrapped = Object.entries(functions).map(([name, call]) => {
    const checked = (...args: number[]): unknown => {
      try {
        return Reflect.apply(call, undefined, args);
      } catch (error) {
        throw explain(error);
      }
    };
    return [name, checked] as const;
  });
  // The same names, arguments and results as before.
  return Object.fromEntries(wrapped) as Functions;
}
