/**
 * A snapshot as text: Prometheus' format, or OpenMetrics where that is asked for. prom-client
 * writes it. Its own metrics hold values and count them up; ours are counted elsewhere, so what is
 * registered are objects that only answer, with the snapshot's values.
 */
import { type Metric, Registry } from "prom-client";
import { FAMILIES, type Family, type FamilyName } from "./families.ts";
import type { Sample, Snapshot } from "./snapshot.ts";

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

const OPEN_METRICS = "application/openmetrics-text";

/** @param accept the Accept field of the request, or empty */
export async function expose(snapshot: Snapshot, accept: string): Promise<Exposition> {
  const contentType = accept.includes(OPEN_METRICS)
    ? Registry.OPENMETRICS_CONTENT_TYPE
    : Registry.PROMETHEUS_CONTENT_TYPE;
  const registry = new Registry<typeof contentType>();
  registry.setContentType(contentType);
  for (const [name, samples] of snapshot) {
    // It has what a registry asks of a metric, which is not all of the library's own.
    registry.registerMetric(new Answer(name, FAMILIES[name], samples) as unknown as Metric);
  }
  return { contentType, text: await registry.metrics() };
}

class Answer {
  /** The registry takes `_total` from it where the format wants that. */
  name: string;
  readonly type: Family["type"];
  readonly #help: string;
  readonly #samples: readonly Sample[];

  constructor(name: FamilyName, { type, help }: Family, samples: readonly Sample[]) {
    this.name = name;
    this.type = type;
    this.#help = help;
    this.#samples = samples;
  }

  get(): unknown {
    const { name, type } = this;
    const values = this.#samples.map(({ suffix, labels, value }) => ({
      labels,
      value,
      metricName: `${name}${suffix}`,
    }));
    return { name, type, help: this.#help, values };
  }
}
