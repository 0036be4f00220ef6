/**
 * `npm start [-- OPTIONS]`: the demonstration, from a fresh clone too. Needs neither root nor
 * system packages; `--guest qemu` says what it needs.
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main } from "./shell.mjs";

/** Passed on, so that the demonstration can clear up; this script ends when it has. */
const SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"];

function play(options) {
  return new Promise((resolve, reject) => {
    const env = { SLIRP_CACHE: inRoot("build/qemu"), ...process.env };
    const child = spawn(inRoot("dist/slirp-binding"), ["demo", ...options], {
      env,
      stdio: "inherit",
    });
    for (const name of SIGNALS) process.on(name, () => child.kill(name));
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      if (signal !== null) process.stderr.write(`the demonstration was ended by ${signal}\n`);
      resolve(code ?? 1);
    });
  });
}

main(async () => {
  await bootstrap();
  return play(process.argv.slice(2));
});
