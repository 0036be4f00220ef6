/**
 * What has become of a network's published ports since it began: the main thread's record, for when
 * the network fails and begins again. It ends with the network: one whose options have changed
 * begins with what they say.
 */
import type { BindingOptions } from "../config/attach.ts";
import type { PublishRule } from "../config/publish-rule.ts";
import { type PublishedPorts, without } from "../config/published-ports.ts";

export class PortChanges {
  #rules: readonly PublishRule[];
  #hasChanged = false;
  #added: readonly PublishRule[] = [];

  /** @param rules those of the start */
  constructor(rules: readonly PublishRule[]) {
    this.#rules = rules;
  }

  add(rule: PublishRule): void {
    this.#hasChanged = true;
    this.#added = [...this.#added, rule];
  }

  remove(ports: PublishedPorts): void {
    this.#hasChanged = true;
    const left = (rules: readonly PublishRule[]) => rules.flatMap((rule) => without(ports, rule));
    this.#rules = left(this.#rules);
    this.#added = left(this.#added);
  }

  /** The options to begin again with. */
  applyTo(options: BindingOptions): BindingOptions {
    if (!this.#hasChanged) return options;
    const publish = { ...options.publish, rules: this.#rules, added: this.#added };
    return { ...options, publish };
  }
}
