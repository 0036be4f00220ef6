/** What is left of a server that was killed. */
import { chmodSync, renameSync } from "node:fs";
import { createServer } from "node:net";

/** Leaves a socket nobody listens on, as a killed server does. */
export async function staleSocket(path: string): Promise<void> {
  const server = createServer();
  // Listening elsewhere and moving the file hides it from the clean-up of `close`.
  await new Promise<void>((resolve) => server.listen(`${path}.old`, resolve));
  renameSync(`${path}.old`, path);
  await new Promise((resolve) => server.close(resolve));
  chmodSync(path, 0o600);
}
