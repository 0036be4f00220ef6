/** Writes docs/metrics.md anew: `node --import tsx test/metrics/update-docs.ts`. */
import { writeFileSync } from "node:fs";
import { metricsPage } from "./page.ts";

writeFileSync(new URL("../../docs/metrics.md", import.meta.url), metricsPage());
