/**
 * What a hook call takes for inputs of 10 MiB that somebody made to hurt: time, and memory at its
 * peak beyond what the process had before. Each input is worked on by a process of its own, in Bun
 * like the program: `bun bench/hooks-inputs.ts NAME` is that process.
 *
 * The parts that a call consists of are called directly, since a message of 10 MiB is refused
 * before they see it. Where the peak of another time cannot be cleared, it counts as well.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { readHookSettings } from "../src/config/hook-settings.ts";
import { startQemuDataPlane } from "../src/hooks/data-plane.ts";
import { createDomainHooks } from "../src/hooks/define.ts";
import { messageOf } from "../src/lib/message.ts";
import { ROOT } from "../test/support/e2e/program.ts";
import { fixture } from "../test/support/hook-fixtures.ts";

const MIB = 1024 * 1024;
const INPUT_BYTES = 10 * MIB;
/** Bars of one call. */
const TIME_BAR_ms = 1000;
const MEMORY_BAR_MIB = 64;

const DOMAIN = fixture("a-user-guide.domain.xml");
const VMI = fixture("a-user-guide.vmi.json");
const QEMU = "http://libvirt.org/schemas/domain/qemu/1.0";

/** This text as often as fits. */
function filled(part: string, used: number): string {
  return part.repeat(Math.floor((INPUT_BYTES - used - 1024) / part.length));
}

function domainWith(devices: string, end = ""): string {
  const open = DOMAIN.replace("<devices>", () => `<devices>${devices}`);
  return open.replace("</domain>", () => `${end}</domain>`);
}

function domainOf(start: string, part: string, end: string, devices = ""): string {
  return domainWith(`${devices}${start}${filled(part, DOMAIN.length + devices.length)}${end}`);
}

function namespaced(): string {
  const attributes = Array.from({ length: 250 }, (_, index) => `n:a${index}=''`).join(" ");
  const uri = "u".repeat(INPUT_BYTES - MIB);
  return domainWith(`<a xmlns:n='${uri}'>${`<b ${attributes}/>`.repeat(115)}</a>`);
}

function commandLine(): string {
  const args = "<q:arg value='-device'/><q:arg value='x,netdev=other'/>".repeat(6000);
  const comment = `<!--${filled("x", DOMAIN.length + args.length)}-->`;
  return domainWith(comment, `<q:commandline xmlns:q='${QEMU}'>${args}</q:commandline>`);
}

function vmiOf(junk: string): string {
  return VMI.replace("{", () => `{"junk":${junk},`);
}

function manyInterfaces(): string {
  const vmi = JSON.parse(VMI);
  const { devices } = vmi.spec.domain;
  const names = Array.from({ length: 250 }, (_, index) => `n${index}`);
  const [iface] = devices.interfaces;
  devices.interfaces = names.map((name) => ({ ...iface, name, ports: [] }));
  vmi.spec.networks = names.map((name) => ({ ...vmi.spec.networks[0], name }));
  return JSON.stringify(vmi);
}

const INPUTS: Readonly<Record<string, () => { domain: string; vmi: string }>> = {
  "one comment": () => ({ domain: domainOf("<!--", "x", "-->"), vmi: VMI }),
  "a letter beyond Latin": () => ({ domain: domainOf("<!--\u{1f600}", "x", "-->"), vmi: VMI }),
  "a namespace of 9 MiB, 28,750 uses": () => ({ domain: namespaced(), vmi: VMI }),
  "29,000 devices": () => ({ domain: domainOf("", " ", "", "<a/>".repeat(29_000)), vmi: VMI }),
  "elements only": () => ({ domain: domainOf("", "<a/>", ""), vmi: VMI }),
  "references only": () => ({ domain: domainOf("", "&#65;", ""), vmi: VMI }),
  "an attribute of references": () => ({ domain: domainOf("<a b='", "&amp;", "'/>"), vmi: VMI }),
  "lines only, a fault at the end": () => ({ domain: domainOf("", "\n", "&"), vmi: VMI }),
  "12,000 arguments": () => ({ domain: commandLine(), vmi: VMI }),
  "250 interfaces of ours": () => ({ domain: domainOf("<!--", "x", "-->"), vmi: manyInterfaces() }),
  "VMI: one text": () => ({ domain: DOMAIN, vmi: vmiOf(`"${filled("x", VMI.length)}"`) }),
  "VMI: escapes only": () => ({ domain: DOMAIN, vmi: vmiOf(`"${filled('\\"', VMI.length)}"`) }),
  "VMI: lists only": () => ({ domain: DOMAIN, vmi: vmiOf(`[${filled("[],", VMI.length)}0]`) }),
};

export interface InputFigure {
  readonly name: string;
  readonly time_ms: number;
  readonly memory_mib: number;
  /** Octets of the answer, or the refusal. */
  readonly answer: string;
}

/** Figures of all inputs, the best of three for each. */
export function measureInputs(): InputFigure[] {
  const program = [join(ROOT, "node_modules/.bin/bun"), join(ROOT, "bench/hooks-inputs.ts")];
  const once = (name: string): InputFigure =>
    JSON.parse(execFileSync(program[0] ?? "", [program[1] ?? "", name], { encoding: "utf8" }));
  return Object.keys(INPUTS).map((name) => {
    const all = [once(name), once(name), once(name)];
    const least = (of: (each: InputFigure) => number): number => Math.min(...all.map(of));
    const best = { time_ms: least((each) => each.time_ms) };
    return { name, answer: "", ...all[0], ...best, memory_mib: least((each) => each.memory_mib) };
  });
}

export function isInputMet({ time_ms, memory_mib }: InputFigure): boolean {
  return time_ms <= TIME_BAR_ms && memory_mib <= MEMORY_BAR_MIB;
}

/** Rows of a table with its head. */
export function inputRows(figures: readonly InputFigure[]): string[][] {
  const rows = figures.map((figure) => [
    figure.name,
    figure.time_ms.toFixed(0),
    figure.memory_mib.toFixed(0),
    isInputMet(figure) ? "met" : "MISSED",
    figure.answer.slice(0, 60),
  ]);
  const bars = [`ms (≤ ${TIME_BAR_ms})`, `MiB (≤ ${MEMORY_BAR_MIB})`];
  return [["input of 10 MiB", ...bars, "", "answer"], ...rows];
}

function status(key: string): number {
  const text = readFileSync("/proc/self/status", "utf8");
  return Number(new RegExp(`${key}:\\s+(\\d+)`).exec(text)?.[1]) / 1024;
}

/** Works on one input in this process. */
async function work(name: string): Promise<InputFigure> {
  const settings = readHookSettings({});
  const dataPlane = startQemuDataPlane();
  const { autoLink, memoryLimit } = dataPlane;
  const context = { settings, resolvConf: "", podNetworks: [], autoLink, memoryLimit };
  const hooks = createDomainHooks({ dataPlane, context: () => context, onShutdown: () => {} });
  const encoder = new TextEncoder();
  const call = async (domain: Uint8Array, vmi: Uint8Array): Promise<string> => {
    try {
      return `${(await hooks.onDefineDomain(domain, vmi)).length} octets`;
    } catch (error) {
      return messageOf(error);
    }
  };
  await call(encoder.encode(DOMAIN), encoder.encode(VMI));
  const { domain, vmi } = INPUTS[name]?.() ?? { domain: "", vmi: "" };
  const input = [encoder.encode(domain), encoder.encode(vmi)] as const;
  Bun.gc(true);
  writeFileSync("/proc/self/clear_refs", "5"); // the peak begins anew (proc(5))
  const before_mib = status("VmRSS");
  const began_ms = performance.now();
  const answer = await call(...input);
  const time_ms = performance.now() - began_ms;
  return { name, time_ms, memory_mib: status("VmHWM") - before_mib, answer };
}

const [, , name] = process.argv;
if (import.meta.main && name !== undefined) console.log(JSON.stringify(await work(name)));
