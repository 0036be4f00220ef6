/** docs/metrics.md, from the catalogue. */
import { DROP_NAMES, STAT_NAMES } from "../../src/engine/stats.ts";
import {
  PEER_NAMES,
  type Series,
  seriesOfDrop,
  seriesOfPeers,
  seriesOfStat,
} from "../../src/metrics/catalogue.ts";
import { FAMILIES, type Family } from "../../src/metrics/families.ts";
import { OUTSIDE_ENGINE, whereDrop, whereStat } from "./where.ts";

const HEAD = `# Metrics

\`--metrics ADDR:PORT\` of \`attach\`, \`run\` and \`serve\` serves:

| path | answer |
|---|---|
| \`/metrics\` | Prometheus' text format; OpenMetrics 1.0 where the Accept field asks for it |
| \`/healthz\` | 200 while every guest network answers, else 503 and which do not |
| \`/readyz\` | 200 once the program serves, else 503 |

It is off by default. The guest cannot reach it: the port is hidden at the loopback addresses, and
connections from other addresses of this machine are closed. Requests that a web page makes are
refused. \`deploy/podmonitor.yaml\` has Prometheus' operator scrape the sidecars,
\`deploy/dashboard.json\` is a dashboard for Grafana.

Every series but those of the process has the label \`interface\`: the interface's name in the
virtual machine, the tap's, or \`guest\`. Values of labels are those of this page; no address, port
or name of a guest's is one.

This page is made from the catalogue (\`src/metrics\`) by \`test/metrics/update-docs.ts\`, and a
test compares them.

## Families

| name | type | labels | what it tells |
|---|---|---|---|
`;

const SERIES_HEAD = `
## Series

Every counter, what it tells where name and family do not say it all, and the sources that count
it. Each is made to count by \`test/metrics/reached.test.ts\`.

| series | what it tells | counted in |
|---|---|---|
`;

export function metricsPage(): string {
  const families = Object.entries<Family>(FAMILIES).map(
    ([name, { type, labels = [], help }]) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`,
  );
  const rows = [...seriesOfEngine(), ...seriesOfOthers()].map(
    ([name, help, where]) => `| \`${name}\` | ${help} | ${where.map(linked).join(", ")} |`,
  );
  return `${HEAD}${families.join("\n")}\n${SERIES_HEAD}${rows.join("\n")}\n`;
}

type Line = readonly [name: string, help: string, where: readonly string[]];

function seriesOfEngine(): Line[] {
  const line = (series: Series, where: readonly string[]): Line => [
    written(series),
    series.help,
    where,
  ];
  return [
    ...STAT_NAMES.map((name) => line(seriesOfStat(name), whereStat(name))),
    ...DROP_NAMES.flatMap((name) =>
      name === "dropNone" ? [] : [line(seriesOfDrop(name), whereDrop(name))],
    ),
  ];
}

/** Those of peers one by one, of the rest the family. */
function seriesOfOthers(): Line[] {
  const peers = PEER_NAMES.map(seriesOfPeers);
  return Object.entries(OUTSIDE_ENGINE).flatMap(([family, where]): Line[] => {
    const own = peers.filter((series) => series.family === family);
    if (own.length === 0) return [[family, "", where]];
    return own.map((series): Line => [written(series), series.help, where]);
  });
}

/** A source, as the page has it. */
function linked(file: string): string {
  return `[${file.replace(/\.ts$/, "")}](../${file})`;
}

/** All that the catalogue has rows for. */
export function allSeries(): Series[] {
  return [
    ...STAT_NAMES.map(seriesOfStat),
    ...PEER_NAMES.map(seriesOfPeers),
    ...DROP_NAMES.flatMap((name) => (name === "dropNone" ? [] : [seriesOfDrop(name)])),
  ];
}

export function written({ family, labels }: Series): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return parts.length === 0 ? family : `${family}{${parts.join(",")}}`;
}
