/** Which of the program's networks a request is about. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { RunningNetwork } from "../binding/networks.ts";
import { invalid } from "./refusals.ts";

type Networks = readonly RunningNetwork[];

/** Those to list something of: the one that is named, or all. */
export function networksOf(all: Networks, name: string): Networks {
  return name === "" ? all : [networkNamed(all, name)];
}

/** The one to change: it may be left unnamed where there is no other. */
export function networkToChange(all: Networks, name: string): RunningNetwork {
  if (name !== "") return networkNamed(all, name);
  const [only, ...others] = all;
  if (only === undefined) throw new ConnectError("there is no network", Code.NotFound);
  if (others.length > 0) throw invalid(`name one of the networks: ${namesOf(all)}`);
  return only;
}

function networkNamed(all: Networks, name: string): RunningNetwork {
  const found = all.find((network) => network.name === name);
  if (found !== undefined) return found;
  const known = all.length === 0 ? "there is none" : `there are: ${namesOf(all)}`;
  throw new ConnectError(`no network ${JSON.stringify(name)}; ${known}`, Code.NotFound);
}

function namesOf(all: Networks): string {
  return all.map(({ name }) => name).join(", ");
}
