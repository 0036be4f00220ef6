/** A folder of a test's own that every user may write to: root becomes nobody in the program. */
import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "slirp-operating-"));
  chmodSync(folder, 0o777);
  return folder;
}
