/**
 * What carries the guests' frames, as the hooks see it: told what a domain is about to contain,
 * before the answer that contains it goes out. An RPC never touches a packet; this interface is all
 * that the two sides know of each other.
 *
 * `startQemuDataPlane` is the one for the link `user`, where QEMU carries the frames itself.
 */

import { quote } from "../config/errors.ts";
import type { LinkKind } from "../config/hook-settings.ts";
import { type HookError, unsupported } from "./domain/errors.ts";
import type { BindingPlan } from "./domain/plan.ts";

export interface DataPlane {
  /** What the link `auto` stands for here. */
  readonly autoLink: LinkKind;
  /**
   * Gets everything ready that QEMU will look for when it starts a domain with these plans: when
   * this resolves, whatever listens does so. Called for every domain that is defined, several times
   * for one start, with equal plans as a rule; never twice at the same time. A plan that was there
   * before and is gone has lost its guest. Throws `HookError` when a plan cannot be carried here.
   */
  prepare(plans: readonly BindingPlan[]): Promise<void>;
  /** Resolves as soon as no guest is attached to a link of ours, which may be at once. */
  idle(): Promise<void>;
  /** Ends all links and removes what they left in the file system. May be called again. */
  close(): Promise<void>;
}

/** What to throw for a plan whose link nothing here carries. */
export function linkUnavailable(interfaceName: string, link: LinkKind): HookError {
  return unsupported(
    `iface ${quote(interfaceName)}: link ${quote(link)} is not available here, choose "auto"`,
  );
}

/** QEMU's own user networking: nothing runs on our side, and no other link is possible. */
export function startQemuDataPlane(): DataPlane {
  return Object.freeze({
    autoLink: "user" as const,
    prepare: async (plans: readonly BindingPlan[]) => {
      for (const { interfaceName, attachment } of plans) {
        if (attachment.kind === "user") continue;
        throw linkUnavailable(interfaceName, attachment.kind);
      }
    },
    idle: async () => {},
    close: async () => {},
  });
}
