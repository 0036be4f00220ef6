/** Scenarios: what makes a row of the catalogue count, and how often. */
import type { HostEngine } from "../../../src/engine/host-engine.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import type { WorldOptions } from "../../support/engine-settings.ts";
import { World6, type World6Options } from "../../support/world6.ts";

/** Other rows of the same family that cannot but move, and what they say then. */
export type Beside = Readonly<Record<string, number>>;

/** An engine whose whole life was the scenario. */
export interface Outcome {
  readonly engine: HostEngine;
  /** What the row says then. */
  readonly value: number;
  readonly beside: Beside;
}

export type Scenario = () => Outcome;

interface World {
  readonly engine: HostEngine;
}

/** A row that counts once. */
export function once(play: () => World, beside: Beside = {}): Scenario {
  return times(1, play, beside);
}

/** A row that says `value` in the end. */
export function times(value: number, play: () => World, beside: Beside = {}): Scenario {
  return () => ({ engine: play().engine, value, beside });
}

type Frames<Sender> = (world: Sender) => Uint8Array | readonly Uint8Array[];

/** The guest sends frames, each as a batch of its own; the row counts once. */
export function sends(frames: Frames<EngineWorld>, options: WorldOptions = {}): Scenario {
  return once(() => sent(new EngineWorld(options), frames));
}

/** The same where both versions of IP are served. */
export function sends6(
  frames: Frames<World6>,
  options: World6Options = {},
  beside: Beside = {},
): Scenario {
  return once(() => sent(new World6(options), frames), beside);
}

export function sent<Sender extends EngineWorld>(world: Sender, frames: Frames<Sender>): Sender {
  for (const frame of [frames(world)].flat()) world.guest(frame);
  return world;
}
