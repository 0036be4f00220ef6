/** Which interfaces are ours, and the historical words for when none is. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { selectInterfaces } from "../../../src/hooks/domain/select.ts";
import { readVmi, type Vmi } from "../../../src/hooks/domain/vmi.ts";
import { messageOf } from "../../support/hook-fixtures.ts";

function vmiOf(interfaces: readonly object[], networks: readonly object[]): Vmi {
  const spec = { domain: { devices: { interfaces } }, networks };
  return readVmi(JSON.stringify({ metadata: { name: "vm" }, spec }));
}

const POD = { name: "a", pod: {} };
const slirp = (name: string): object => ({ name, binding: { name: "slirp" } });

describe("selected", () => {
  const names = (vmi: Vmi, binding = "slirp"): string[] =>
    selectInterfaces(vmi, binding).map(({ iface, network }) => `${iface.name}/${network.name}`);

  test("by the registered name, by the old method, several of them", () => {
    assert.deepEqual(names(vmiOf([slirp("a")], [POD])), ["a/a"]);
    assert.deepEqual(names(vmiOf([{ name: "a", slirp: {} }], [POD]), "mine"), ["a/a"]);
    assert.deepEqual(names(vmiOf([{ name: "a", binding: { name: "mine" } }], [POD]), "mine"), [
      "a/a",
    ]);
    const two = vmiOf([slirp("a"), { name: "x" }, slirp("b")], [POD, { name: "b", pod: {} }]);
    assert.deepEqual(names(two), ["a/a", "b/b"]);
  });

  test("an absent one is left out", () => {
    assert.deepEqual(names(vmiOf([{ ...slirp("a"), state: "absent" }], [POD])), []);
  });
});

describe("refused", () => {
  const error = (vmi: Vmi, binding = "slirp"): string =>
    messageOf(() => selectInterfaces(vmi, binding));

  test("with the historical words", () => {
    assert.equal(error(vmiOf([slirp("a")], [])), "pod network not found");
    assert.equal(error(vmiOf([slirp("a")], [{ name: "a", multus: {} }])), "pod network not found");
    assert.equal(error(vmiOf([], [POD])), 'iface "a" not found');
    assert.equal(
      error(vmiOf([{ name: "a", masquerade: {} }], [POD])),
      'iface "a" is not set with slirp network binding plugin or slirp binding method',
    );
    assert.equal(
      error(vmiOf([slirp("a")], [POD]), "mine"),
      'iface "a" is not set with mine network binding plugin or slirp binding method',
    );
  });

  test("on another network, or on none", () => {
    const networks = [POD, { name: "b", multus: {} }];
    assert.equal(
      error(vmiOf([{ name: "a", bridge: {} }, slirp("b")], networks)),
      'iface "b": network "b" is not the pod network, which is "a"',
    );
    assert.equal(error(vmiOf([slirp("c")], networks)), 'iface "c": network "c" not found');
  });
});
