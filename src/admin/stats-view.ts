/** Values of the catalogue as the admin service tells of them: histograms put together again. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { FAMILIES, type FamilyName } from "../metrics/families.ts";
import type { Sample as Line, Snapshot } from "../metrics/snapshot.ts";
import {
  type Family,
  FamilySchema,
  type SampleSchema,
} from "./gen/slirp_binding/admin/v1/admin_pb.js";

type SampleShape = MessageInitShape<typeof SampleSchema>;

export function viewFamilies(snapshot: Snapshot): Family[] {
  return [...snapshot].map(([name, lines]) => {
    const { help, type } = FAMILIES[name satisfies FamilyName];
    const samples = type === "histogram" ? histograms(lines) : lines.map(plain);
    return create(FamilySchema, { name, help, type, samples });
  });
}

function plain({ labels, value }: Line): SampleShape {
  return { labels: { ...labels }, value };
}

/** Lines of a histogram come with one label more, the upper end, and in three forms. */
function histograms(lines: readonly Line[]): SampleShape[] {
  const found = new Map<string, Histogram>();
  for (const { suffix, labels, value } of lines) {
    const { le, ...own } = labels;
    const key = JSON.stringify(own);
    const histogram = found.get(key) ?? { labels: own, buckets: [], count: 0n, sum: 0 };
    found.set(key, histogram);
    if (suffix === "_sum") histogram.sum = value;
    else if (suffix === "_count") histogram.count = BigInt(value);
    else if (le !== undefined && le !== "+Inf") {
      histogram.buckets.push({ upper: Number(le), count: BigInt(value) });
    }
  }
  return [...found.values()];
}

interface Histogram {
  readonly labels: Record<string, string>;
  readonly buckets: { readonly upper: number; readonly count: bigint }[];
  count: bigint;
  sum: number;
}
