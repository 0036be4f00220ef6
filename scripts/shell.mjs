/** What every script needs: where the project is, and how to run a program in it. */
import { spawn } from "node:child_process";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

/** Absolute path of a file of the project. */
export function inRoot(...parts) {
  return path.join(ROOT, ...parts);
}

/** Absolute path of a program that a dependency installs. */
export function tool(name) {
  return inRoot("node_modules/.bin", name);
}

/** True when `import.meta.filename` of the caller is what node was asked to run. */
export function isMain(filename) {
  return process.argv[1] !== undefined && path.resolve(process.argv[1]) === filename;
}

/**
 * Runs a program in the project's folder and resolves to `{ code, output }`.
 *
 * `quiet` collects both output streams instead of passing them on. A program that runs longer than
 * `timeout_ms` is killed with its children's group and counts as failed.
 */
export function run(command, args, { env = {}, quiet = false, timeout_ms = 0 } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ["ignore", quiet ? "pipe" : "inherit", quiet ? "pipe" : "inherit"],
      detached: timeout_ms > 0,
    });
    const chunks = [];
    child.stdout?.on("data", (chunk) => chunks.push(chunk));
    child.stderr?.on("data", (chunk) => chunks.push(chunk));
    let late = false;
    const onLate = () => {
      late = true;
      process.kill(-child.pid, "SIGKILL");
    };
    const timer = timeout_ms > 0 ? setTimeout(onLate, timeout_ms) : undefined;
    const finish = (code, note) => {
      clearTimeout(timer);
      const end = late ? `\nkilled after ${timeout_ms / 1000} s` : note;
      resolve({ code: late ? 1 : code, output: Buffer.concat(chunks).toString() + end });
    };
    child.on("error", (error) => finish(127, `${error.message}\n`));
    child.on("close", (code, signal) => finish(code ?? 1, signal ? `\nended by ${signal}\n` : ""));
  });
}

/** As `run`, but a failure throws with what the program said. */
export async function must(command, args, options) {
  const { code, output } = await run(command, args, options);
  if (code !== 0) {
    const line = [path.basename(command), ...args].join(" ");
    throw new Error(`"${line}" failed with code ${code}${output ? `:\n${output}` : ""}`);
  }
  return output;
}

/** Ends the script with one clear line when its work fails. */
export function main(work) {
  work().then(
    (code) => {
      process.exitCode = code ?? 0;
    },
    (error) => {
      process.stderr.write(`${error.message}\n`);
      process.exitCode = 1;
    },
  );
}
