/** What is written of the traffic, into which files, and how much of it. */
import { RUN } from "./headings.ts";
import { type Bounds, integer, type Values, value } from "./option.ts";
import { parsePath } from "./path.ts";

const MIB_BOUNDS: Bounds = [1, 1048576];

const PCAP = {
  /** File the frames are written to, pcapng; of `serve` the first interface's. */
  pcap: value({
    name: "pcap",
    argument: "FILE",
    description:
      "write every frame to a capture file (pcapng), or to a FIFO that is there and whose " +
      "readers come and go; a file that is there is kept as FILE.old",
    heading: RUN,
    parse: parsePath,
  }),
  /** Octets kept of each frame in it. */
  pcapSnap: integer({
    name: "pcap-snap",
    argument: "N",
    description: "octets of a frame kept in it, {bounds} (default {default})",
    heading: RUN,
    bounds: [64, 262144],
    fallback: 262144,
  }),
  /** MiB after which nothing more is written to it; undefined = no end. */
  pcapLimitMib: integer({
    name: "pcap-limit",
    argument: "MIB",
    description: "size at which the capture ends while traffic goes on (default none)",
    heading: RUN,
    bounds: MIB_BOUNDS,
  }),
};

const record = {
  name: "record",
  argument: "FILE",
  heading: RUN,
  parse: parsePath,
};

const RECORD_LIMIT = {
  /** Size at which a recording ends, MiB. */
  recordLimitMib: integer({
    name: "record-limit",
    argument: "MIB",
    description: "size at which a recording ends, in MiB, {bounds} (default {default})",
    heading: RUN,
    bounds: MIB_BOUNDS,
    fallback: 1024,
  }),
};

export const CAPTURE_OPTIONS = {
  ...PCAP,
  /** File that all inputs of the engine are recorded in, for `replay`. */
  record: value({
    ...record,
    description:
      'record all that goes into the engine, for "replay"; a file that is there is kept as ' +
      "FILE.old",
  }),
  ...RECORD_LIMIT,
};

/** Of several networks, whose files have names that end with the interface's. */
export const SERVE_CAPTURE_OPTIONS = {
  ...PCAP,
  record: value({
    ...record,
    description: 'record all that goes into the engines, for "replay", in FILE.IFACE',
  }),
  ...RECORD_LIMIT,
};

export type CaptureOptions = Values<typeof CAPTURE_OPTIONS>;
