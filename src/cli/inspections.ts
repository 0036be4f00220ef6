/** The commands that ask and steer running programs: what each is for, and how it is read. */
import {
  DROPS_ROWS,
  EVENTS_ROWS,
  FLOWS_ROWS,
  INSTANCES_ROWS,
  LOG_ROWS,
  readDrops,
  readEvents,
  readFlows,
  readInstances,
  readLog,
  readStats,
  readTop,
  STATS_ROWS,
  TOP_ROWS,
} from "../config/inspect.ts";
import {
  CAPTURE_ROWS,
  LOG_LEVEL_ROWS,
  PUBLISH_ACTIONS,
  PUBLISH_ROWS,
  readCapture,
  readLogLevel,
  readPublish,
} from "../config/steer.ts";
import { LOG_LEVELS } from "../lib/log.ts";
import type { CommandEntry, Operand } from "./command.ts";
import {
  CAPTURE_EPILOGUE,
  DROPS_EPILOGUE,
  EVENTS_EPILOGUE,
  FLOWS_EPILOGUE,
  INSTANCES_EPILOGUE,
  LOG_EPILOGUE,
  LOG_LEVEL_EPILOGUE,
  PUBLISH_EPILOGUE,
  STATS_EPILOGUE,
  TOP_EPILOGUE,
} from "./inspection-epilogues.ts";

const FILTER: Operand = {
  name: "filter",
  description: "which ones: tcp and host 192.0.2.1 and not port 22",
  isRepeated: true,
  words: ["tcp", "udp", "icmp", "host", "net", "port", "and", "or", "not"],
};
const FRAMES: Operand = {
  ...FILTER,
  description: "which frames: udp port 53 and from guest",
  words: [...(FILTER.words ?? []), "from", "to", "guest", "dropped"],
};

/** In the order of the help. */
export const INSPECTIONS: readonly CommandEntry[] = [
  {
    name: "instances",
    summary: "list the programs of this kind that run here",
    description:
      "Lists every attach, run and serve that this user may ask: those with a socket in the " +
      "runtime folder, and in the folder of hook sockets that of a sidecar. Sockets that a " +
      "killed program left behind are not among them.",
    rows: INSTANCES_ROWS,
    epilogue: INSTANCES_EPILOGUE,
    read: (settings) => ({ kind: "ask", question: readInstances(settings) }),
  },
  {
    name: "flows",
    summary: "list what the guest has open: connections, datagram flows, pings, DNS",
    description:
      "Lists the flows of a running program: both ends, state, octets, age, and what each waits " +
      "for. That is the answer to which connection hangs, and on which side.",
    rows: FLOWS_ROWS,
    operands: [FILTER],
    epilogue: FLOWS_EPILOGUE,
    read: (settings) => ({ kind: "ask", question: readFlows(settings) }),
  },
  {
    name: "top",
    summary: "show the busiest flows, live",
    description: "Shows a table of the flows that move most, anew every second, on a terminal.",
    rows: TOP_ROWS,
    operands: [FILTER],
    epilogue: TOP_EPILOGUE,
    read: (settings) => ({ kind: "ask", question: readTop(settings) }),
  },
  {
    name: "stats",
    summary: "show all that is counted and measured",
    description:
      "Shows the counters, gauges and histograms of a running program, by the names they have in " +
      "/metrics. What is zero is left out.",
    rows: STATS_ROWS,
    operands: [
      {
        name: "pattern",
        description: "series whose name and labels contain this; * is anything",
        isRepeated: true,
      },
    ],
    epilogue: STATS_EPILOGUE,
    read: (settings) => ({ kind: "ask", question: readStats(settings) }),
  },
  {
    name: "events",
    summary: "tell what happened: guests, leases, ports, failures, limits",
    description: "Tells the latest events of a running program, oldest first.",
    rows: EVENTS_ROWS,
    epilogue: EVENTS_EPILOGUE,
    read: (settings) => ({ kind: "ask", question: readEvents(settings) }),
  },
  {
    name: "drops",
    summary: "list the latest frames that were dropped, and why",
    description: "Lists the latest 64 frames that a running program dropped, oldest first.",
    rows: DROPS_ROWS,
    epilogue: DROPS_EPILOGUE,
    read: (settings) => ({ kind: "ask", question: readDrops(settings) }),
  },
  {
    name: "log",
    summary: "print the latest lines of the log",
    description: "Prints the latest lines of a running program's log, as they were written.",
    rows: LOG_ROWS,
    epilogue: LOG_EPILOGUE,
    read: (settings) => ({ kind: "ask", question: readLog(settings) }),
  },
  {
    name: "log-level",
    summary: "tell the level of the log, or set it",
    description:
      "Tells the least level that a running program logs, or sets it until it is set again or " +
      "the program ends.",
    rows: LOG_LEVEL_ROWS,
    operands: [{ name: "level", description: LOG_LEVELS.join(", "), words: LOG_LEVELS }],
    epilogue: LOG_LEVEL_EPILOGUE,
    read: (settings) => ({ kind: "ask", question: readLogLevel(settings) }),
  },
  {
    name: "publish",
    summary: "add, remove and list ports of the host that reach the guest",
    description:
      "Changes the published ports of a running program, until its network ends. A port that is " +
      "removed takes no new connections; those that are open stay.",
    rows: PUBLISH_ROWS,
    operands: [
      { name: "action", description: "add, remove or list (default list)", words: PUBLISH_ACTIONS },
      {
        name: "rule",
        description: "as --publish of attach takes it; where one is removed, 8080 is enough",
        isRepeated: true,
      },
    ],
    epilogue: PUBLISH_EPILOGUE,
    read: (settings) => ({ kind: "ask", question: readPublish(settings) }),
  },
  {
    name: "capture",
    summary: "capture the guest's frames, as a pcapng file",
    description:
      "Has a running program capture frames until this is interrupted or a limit is reached. " +
      "Each frame that was dropped has the reason as a comment.",
    rows: CAPTURE_ROWS,
    operands: [FRAMES],
    epilogue: CAPTURE_EPILOGUE,
    read: (settings) => ({ kind: "ask", question: readCapture(settings) }),
  },
];
