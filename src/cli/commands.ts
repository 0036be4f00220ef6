/** The commands there are: what each is for, its options, and how they are read. */
import { ATTACH_ROWS, readAttachOptions } from "../config/attach.ts";
import { DEMO_ROWS, readDemoOptions } from "../config/demo.ts";
import { DOCTOR_ROWS, readDoctorOptions, readGuestReport } from "../config/doctor.ts";
import { MANIFESTS_ROWS, readManifestOptions } from "../config/manifests.ts";
import { MANUAL_ROWS, readManual, readShell, SHELLS } from "../config/manual.ts";
import { parsePath } from "../config/path.ts";
import { RUN_ROWS, readRunOptions } from "../config/run.ts";
import { readServeOptions, SERVE_ROWS } from "../config/serve.ts";
import { readOne } from "../config/settings.ts";
import { readSimulateOptions, SIMULATE_ROWS } from "../config/simulate.ts";
import { readUiOptions, UI_ROWS } from "../config/ui.ts";
import type { CommandEntry } from "./command.ts";
import {
  ATTACH_EPILOGUE,
  COMPLETION_EPILOGUE,
  DEMO_EPILOGUE,
  DOCTOR_EPILOGUE,
  MAN_EPILOGUE,
  MANIFESTS_EPILOGUE,
  REPLAY_EPILOGUE,
  RUN_EPILOGUE,
  SERVE_EPILOGUE,
  SIMULATE_EPILOGUE,
  UI_EPILOGUE,
} from "./epilogues.ts";
import { INSPECTIONS } from "./inspections.ts";

/** Setting of the command that `run` starts; no option has a name in capitals. */
export const COMMAND = "COMMAND";

const OWN: readonly CommandEntry[] = [
  {
    name: "attach",
    summary: "give a network namespace or a virtual machine user-space network connectivity",
    description:
      "Gives a network namespace (by a tap) or a virtual machine (by a stream socket of QEMU) " +
      "user-space network connectivity: every frame the guest sends is answered here or carried " +
      "on by ordinary sockets of this process, without privileges on the host. Runs until " +
      "SIGTERM or SIGINT.",
    rows: ATTACH_ROWS,
    epilogue: ATTACH_EPILOGUE,
    read: (settings, isTerminal) => ({
      kind: "attach",
      options: readAttachOptions(settings, isTerminal),
    }),
  },
  {
    name: "run",
    summary: "run a command in a network of its own, without privileges",
    description:
      "Runs a command in a network namespace of its own that reaches the network as attach has " +
      "it, and takes all of it away when the command ends.",
    rows: RUN_ROWS,
    takesCommand: true,
    epilogue: RUN_EPILOGUE,
    read: (settings, isTerminal, env) => {
      const { SHELL: shell = "/bin/sh" } = env;
      const command = settings.get(COMMAND)?.values ?? [];
      const own = new Map([...settings].filter(([name]) => name !== COMMAND));
      return { kind: "run", options: readRunOptions(own, command, { shell, isTerminal }) };
    },
  },
  {
    name: "serve",
    summary: "be the sidecar of a virtual machine that KubeVirt runs",
    description:
      "Serves KubeVirt's hooks: answers virt-launcher on a socket in the hooks folder and puts " +
      "the bound interfaces into the virtual machine's domain. Runs until the machine is gone.",
    rows: SERVE_ROWS,
    epilogue: SERVE_EPILOGUE,
    read: (settings, isTerminal) => ({
      kind: "serve",
      options: readServeOptions(settings, isTerminal),
    }),
  },
  {
    name: "doctor",
    summary: "look at what this machine allows, and say what mends the rest",
    description:
      "Looks at the kernel, its settings, resolvers, limits and folders that guests' networks " +
      "depend on. For what will not work it says why that matters and the one command that mends " +
      "it. Start it as the user, and in the namespaces or the container, of the program itself.",
    rows: DOCTOR_ROWS,
    epilogue: DOCTOR_EPILOGUE,
    read: (settings) => {
      const question = readGuestReport(settings);
      if (question !== undefined) return { kind: "ask", question };
      return { kind: "doctor", options: readDoctorOptions(settings) };
    },
  },
  {
    name: "ui",
    summary: "serve a live page of a running program",
    description:
      "Serves a page that shows a running attach, run or serve as it lives: networks, flows and " +
      "what each waits for, throughput, drops, events, log; ports and captures can be changed " +
      "there. Prints the page's address, which has a token in it, and runs until SIGTERM or " +
      "SIGINT.",
    rows: UI_ROWS,
    epilogue: UI_EPILOGUE,
    read: (settings) => ({ kind: "ui", options: readUiOptions(settings) }),
  },
  {
    name: "manifests",
    summary: "print what the admin of a cluster applies",
    description:
      "Prints the YAML documents by which KubeVirt comes to know this binding, and an example of " +
      "a virtual machine that uses it.",
    rows: MANIFESTS_ROWS,
    epilogue: MANIFESTS_EPILOGUE,
    read: (settings) => ({ kind: "manifests", options: readManifestOptions(settings) }),
  },
  {
    name: "demo",
    summary: "show all of it on this machine, without a cluster",
    description:
      "Starts the sidecar, makes virt-launcher's calls with the virtual machine of KubeVirt's " +
      "user guide, and has a guest use the network it is given. Needs no privileges, and leaves " +
      "nothing behind but a capture.",
    rows: DEMO_ROWS,
    epilogue: DEMO_EPILOGUE,
    read: (settings) => ({ kind: "demo", options: readDemoOptions(settings) }),
  },
  {
    name: "replay",
    summary: "do again what a recorded engine did, and compare",
    description:
      "Gives another engine all that went into the recorded one, and compares what comes out, " +
      "bit for bit: frames for the guest, operations on host sockets, deadlines.",
    rows: [],
    operands: [{ name: "file", description: "the recording", isRequired: true }],
    epilogue: REPLAY_EPILOGUE,
    read: (settings) => ({ kind: "replay", file: readOne(settings, "file", "", parsePath) }),
  },
  {
    name: "simulate",
    summary: "run engine, guest and upstream in virtual time, and check every run",
    description:
      "Runs the engine and the loop between a modelled guest and a modelled host, with faults, " +
      "in virtual time: the same seed is the same run. Every run is checked: streams exact, " +
      "nothing acknowledged too early, nothing outside the window, every flow ends, counters " +
      "balance.",
    rows: SIMULATE_ROWS,
    operands: [{ name: "scenario", description: "file of what happens; without it, the seed" }],
    epilogue: SIMULATE_EPILOGUE,
    read: (settings) => ({ kind: "simulate", options: readSimulateOptions(settings) }),
  },
];

const NAMES = [...[...OWN, ...INSPECTIONS].map(({ name }) => name), "completion", "man"];

/** What the shell and the manual are told. */
const HELPERS: readonly CommandEntry[] = [
  {
    name: "completion",
    summary: "print the script by which a shell completes this program's command line",
    description:
      "Prints a script for bash, zsh or fish that knows every command, option and value of this " +
      "version.",
    rows: [],
    operands: [{ name: "shell", description: SHELLS.join(", "), isRequired: true, words: SHELLS }],
    epilogue: COMPLETION_EPILOGUE,
    read: (settings) => ({ kind: "completion", shell: readShell(settings) }),
  },
  {
    name: "man",
    summary: "print a page of the manual",
    description:
      "Prints the page of a command, or of the program, as man(1) and mandoc(1) read it.",
    rows: MANUAL_ROWS,
    operands: [{ name: "command", description: "without it, the program", words: NAMES }],
    epilogue: MAN_EPILOGUE,
    read: (settings) => ({ kind: "man", options: readManual(settings, NAMES) }),
  },
];

export const COMMANDS: readonly CommandEntry[] = [...OWN, ...INSPECTIONS, ...HELPERS];
