/** `npm run demo:web`: serves the demonstration until it is told to end. */
import process from "node:process";
import { startDemo } from "./start.ts";

const demo = await startDemo();
process.stdout.write(`The demonstration is at ${demo.url}\nControl-C ends it.\n`);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    void demo.close().then(() => process.exit(0));
  });
}
