/** Where metrics are served, if anywhere. */
import { isIPv4, isIPv6 } from "node:net";
import { ConfigError } from "./errors.ts";
import { RUN } from "./headings.ts";
import { type Values, value } from "./option.ts";

/** Where a TCP server listens. */
export interface MetricsAddress {
  /** As text, IPv4 or IPv6, without brackets. */
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
}

const PORT_MAX = 65535;
const FORM = /^(?:\[([^\]]+)\]|([^:]*)):([0-9]{1,5})$/;

export const METRICS_OPTIONS = {
  /** Undefined = nowhere. */
  metrics: value({
    name: "metrics",
    argument: "ADDR:PORT",
    description:
      "serve /metrics (Prometheus, OpenMetrics), /healthz and /readyz there, out of the guest's " +
      "reach (default: nowhere)",
    heading: RUN,
    parse: parseMetricsAddress,
  }),
};

export type MetricsOptions = Values<typeof METRICS_OPTIONS>;

/** Reads `127.0.0.1:9100` or `[::1]:9100`. Throws `ConfigError`. */
function parseMetricsAddress(text: string): MetricsAddress {
  const [, six, four, portText] = FORM.exec(text) ?? [];
  const port = Number(portText);
  if (four !== undefined && isIPv4(four) && port <= PORT_MAX) return { host: four, port };
  if (six !== undefined && isIPv6(six) && port <= PORT_MAX) return { host: six, port };
  throw new ConfigError("wanted ADDR:PORT such as 127.0.0.1:9100 or [::1]:9100");
}
