/**
 * The data plane as the hooks see it: it prepares for the plans of a domain before the answer with
 * that domain goes out. An RPC never touches a packet; this interface is all that hooks and data
 * plane know of each other.
 *
 * `startQemuDataPlane` is for the link `user`, where QEMU carries the frames itself.
 */

import { quote } from "../config/errors.ts";
import type { LinkKind } from "../config/hook-settings.ts";
import type { AutoLink } from "./domain/attachment.ts";
import { type HookError, unsupported } from "./domain/errors.ts";
import type { BindingPlan } from "./domain/plan.ts";

export interface DataPlane {
  /** The best that the link `auto` may stand for here. */
  readonly autoLink: AutoLink;
  /** Octets of memory this process may have; undefined = no limit. */
  readonly memoryLimit: number | undefined;
  /**
   * Prepares what QEMU connects to when it starts a domain with these plans: all sockets listen
   * once it resolves. Called for every domain that is defined, several times for one start, usually
   * with equal plans; never twice at a time. A plan that is missing now has lost its guest. Throws
   * `HookError` when this data plane does not offer the link of a plan.
   */
  prepare(plans: readonly BindingPlan[]): Promise<void>;
  /** Resolves when no guest is attached to any link; at once when there is none. */
  idle(): Promise<void>;
  /** Closes all links and removes their files. May be called again. */
  close(): Promise<void>;
}

/** The error for a plan whose link this data plane does not offer. */
function linkUnavailable(interfaceName: string, link: LinkKind): HookError {
  return unsupported(
    `iface ${quote(interfaceName)}: link ${quote(link)} is not available here, choose "auto"`,
  );
}

/** For QEMU's own user networking: nothing runs on our side, and no other link is offered. */
export function startQemuDataPlane(): DataPlane {
  return Object.freeze({
    autoLink: "user" as const,
    memoryLimit: undefined,
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
