/**
 * Runs long programs side by side and shows one line of progress for all of them.
 *
 * Each writes lines of JSON to its standard output: `{ "done": N }` now and then, N counting from
 * its start, and at last `{ "done": N, ... }` with whatever numbers it has to tell, which are added
 * up. What it writes to standard error is passed on. The first that fails ends the others.
 */
import { spawn } from "node:child_process";
import process from "node:process";
import readline from "node:readline";
import { ROOT } from "./shell.mjs";

const PROGRESS_MS = 5000;

function duration(seconds) {
  if (!Number.isFinite(seconds)) return "?";
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Adds the numbers of one report to those of another, however deep they lie. */
function addUp(sum, more) {
  for (const [key, value] of Object.entries(more)) {
    if (typeof value === "number") sum[key] = (sum[key] ?? 0) + value;
    else if (value !== null && typeof value === "object") sum[key] = addUp(sum[key] ?? {}, value);
  }
  return sum;
}

function watch([command, ...args], report) {
  const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const lines = readline.createInterface({ input: child.stdout });
  lines.on("line", (line) => report(JSON.parse(line)));
  const ended = new Promise((resolve) => {
    child.on("error", (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve(127);
    });
    // The last line is read before the pipe is closed, and that is before this event.
    child.on("close", (code) => resolve(code ?? 1));
  });
  return { child, ended };
}

/**
 * Resolves to the exit code, 0 when all went well. `total` = what all of them have to do, for the
 * estimate; `limit_ms` = when they stop by themselves, where that comes first; `summary` gets the
 * sum of their last reports.
 */
export async function sideBySide(commands, { what, total, limit_ms = Infinity, summary }) {
  const begin = performance.now();
  const latest = commands.map(() => ({ done: 0 }));
  const tell = () => {
    const done = latest.reduce((sum, each) => sum + each.done, 0);
    const seconds = (performance.now() - begin) / 1000;
    const rate = done / Math.max(seconds, 0.001);
    const left = Math.min((total - done) / rate, limit_ms / 1000 - seconds);
    const speed = rate < 100 ? rate.toFixed(1) : Math.round(rate);
    process.stdout.write(
      `${done}/${total} ${what} in ${duration(seconds)}, ${speed}/s, ` +
        `${done >= total ? "done" : `${duration(Math.max(left, 0))} to go`}\n`,
    );
  };
  const timer = setInterval(tell, PROGRESS_MS);
  const runs = commands.map((command, i) =>
    watch(command, (report) => {
      latest[i] = report;
    }),
  );
  const codes = await Promise.all(
    runs.map(async ({ ended }) => {
      const code = await ended;
      if (code !== 0) for (const { child } of runs) child.kill();
      return code;
    }),
  );
  clearInterval(timer);
  tell();
  const sum = latest.reduce(addUp, {});
  summary?.(sum, (performance.now() - begin) / 1000);
  return codes.every((code) => code === 0) ? 0 : 1;
}
