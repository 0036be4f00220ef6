/** Modules that import each other, directly or by way of others. */

/** Who imports whom, by path. */
type Graph = ReadonlyMap<string, readonly string[]>;

/** Every group of modules each of which reaches all others of it, sorted. */
export function circlesOf(graph: Graph): string[][] {
  const reached = new Map([...graph.keys()].map((each) => [each, reachOf(graph, each)]));
  const seen = new Set<string>();
  const found: string[][] = [];
  for (const [from, reach] of reached) {
    if (seen.has(from) || !reach.has(from)) continue;
    const circle = [...reach].filter((to) => reached.get(to)?.has(from) === true).sort();
    for (const each of circle) seen.add(each);
    found.push(circle);
  }
  return found;
}

/** What `from` imports in the end; itself only if there is a way back. */
function reachOf(graph: Graph, from: string): Set<string> {
  const reach = new Set<string>();
  const open = [from];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const to of graph.get(at) ?? []) {
      if (reach.has(to)) continue;
      reach.add(to);
      open.push(to);
    }
  }
  return reach;
}
