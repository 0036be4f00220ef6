/**
 * What else of Node the engine's tests reach, in a browser: files that were fetched beforehand,
 * read by their address (`node:fs`); and of modules for system calls, which tests load with the
 * simulator and do not use, what is asked for while they are loaded.
 */

const files = new Map<string, Uint8Array>();

/** Fetches files by their paths on the server of the page. */
export async function fetchFiles(paths: readonly string[]): Promise<void> {
  const fetchOne = async (path: string): Promise<void> => {
    const response = await fetch(path);
    if (!response.ok) throw new Error(`cannot fetch "${path}": ${response.status}`);
    files.set(path, new Uint8Array(await response.arrayBuffer()));
  };
  await Promise.all(paths.map(fetchOne));
}

export function readFileSync(file: URL): Uint8Array {
  const octets = files.get(file.pathname);
  if (octets === undefined) throw new Error(`not fetched: "${file.pathname}"`);
  return octets;
}

/** Of no machine: what depends on it is for system calls. */
export const arch = (): string => "";

/** Of `node:fs`: without flags nothing can be opened. */
export const constants = {};
