/** Descriptors of whoever supervises the program: one hears that it is ready, one ends it. */
import { RUN } from "./headings.ts";
import { type Bounds, integer } from "./option.ts";

/** The kernel's default ceiling of file descriptor numbers (fs.nr_open) is one above. */
const FD_BOUNDS: Bounds = [0, 1048575];

export const READY_OPTIONS = {
  /** File descriptor that gets one byte when ready. */
  readyFd: integer({
    name: "ready-fd",
    argument: "N",
    description: "file descriptor that gets one byte when ready",
    heading: RUN,
    bounds: FD_BOUNDS,
  }),
};

export const EXIT_OPTIONS = {
  /** File descriptor of a pipe or socket; once its other end is closed, it is over. */
  exitFd: integer({
    name: "exit-fd",
    argument: "N",
    description: "file descriptor of a pipe or socket; it all ends when its other end is closed",
    heading: RUN,
    bounds: FD_BOUNDS,
  }),
};
