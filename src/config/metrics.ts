/** Where metrics are served, if anywhere. */
import { RUN } from "./headings.ts";
import { type Values, value } from "./option.ts";
import { parseTcpAddress } from "./tcp-address.ts";

export const METRICS_OPTIONS = {
  /** Undefined = nowhere. */
  metrics: value({
    name: "metrics",
    argument: "ADDR:PORT",
    description:
      "serve /metrics (Prometheus, OpenMetrics), /healthz and /readyz there, out of the guest's " +
      "reach (default: nowhere)",
    heading: RUN,
    parse: parseTcpAddress,
  }),
};

export type MetricsOptions = Values<typeof METRICS_OPTIONS>;
