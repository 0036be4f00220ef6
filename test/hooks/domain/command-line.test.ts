/** Arguments of several interfaces in one list: whose is whose, what each leaves to others. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { editArguments } from "../../../src/hooks/domain/command-line.ts";
import { readDomain } from "../../../src/hooks/domain/document.ts";
import { applyEdits } from "../../../src/hooks/domain/edits.ts";
import { type BindingPlan, derivePlans } from "../../../src/hooks/domain/plan.ts";
import { readVmi } from "../../../src/hooks/domain/vmi.ts";
import { attributeOf, parseXml } from "../../../src/hooks/domain/xml.ts";
import { contextOf, MEMORY, messageOf } from "../../support/hook-fixtures.ts";

const QEMU = "http://libvirt.org/schemas/domain/qemu/1.0";

interface Iface {
  readonly name: string;
  readonly pciAddress?: string;
}

function plansOf(...ifaces: readonly Iface[]): readonly BindingPlan[] {
  const interfaces = ifaces.map((each) => ({ ...each, slirp: {} }));
  const networks = ifaces.map(({ name }) => ({ name, pod: {} }));
  const spec = { domain: { devices: { interfaces } }, networks };
  const vmi = readVmi(JSON.stringify({ metadata: { name: "vm" }, spec }));
  return derivePlans(vmi, MEMORY, contextOf("", { SLIRP_LINK: "stream" }));
}

function domainWith(values: readonly string[], devices = ""): string {
  const list = values.map((value) => `<q:arg value='${value}'/>`).join("");
  return (
    `<domain xmlns:q="${QEMU}"><os><type machine="q35"/></os><devices>${devices}</devices>` +
    `<q:commandline>${list}</q:commandline></domain>`
  );
}

function edited(domain: string, plans: readonly BindingPlan[]): string {
  return applyEdits(domain, editArguments(readDomain(domain), plans));
}

function valuesOf(xml: string): string[] {
  const list = parseXml(xml).children.find(({ local }) => local === "commandline");
  return (list?.children ?? []).map((each) => attributeOf(each, "value") ?? "");
}

/** Slots by the ids of the cards. */
function slotsOf(xml: string): Record<string, string> {
  const cards = valuesOf(xml).filter((value) => value.startsWith("{"));
  return Object.fromEntries(
    cards.map((card) => {
      const { id, addr } = JSON.parse(card);
      return [id, addr];
    }),
  );
}

describe("arguments of several interfaces", () => {
  test("each takes a slot that no device, no argument and no other interface has", () => {
    const device = '<video><address type="pci" bus="0x00" slot="0x1c"/></video>';
    const domain = domainWith(["-device", "foreign,addr=0x19"], device);
    const answer = edited(domain, plansOf({ name: "a" }, { name: "b" }));
    assert.deepEqual(slotsOf(answer), { "slirp-a": "0x18.0x0", "slirp-b": "0x17.0x0" });
    assert.equal(edited(answer, plansOf({ name: "a" }, { name: "b" })), answer);
  });

  test("one that is planned anew leaves its old slot to the next", () => {
    const old = ["-device", "e1000,netdev=slirp-a,addr=0x1c"];
    const asked = plansOf({ name: "a", pciAddress: "0000:00:05.0" }, { name: "b" });
    assert.deepEqual(slotsOf(edited(domainWith(old), asked)), {
      "slirp-a": "0x5.0x0",
      "slirp-b": "0x1c.0x0",
    });
  });

  test("one that is there already keeps its slot from one that is new", () => {
    const there = edited(domainWith([]), plansOf({ name: "b" }));
    assert.deepEqual(slotsOf(there), { "slirp-b": "0x1c.0x0" });
    assert.deepEqual(slotsOf(edited(there, plansOf({ name: "a" }, { name: "b" }))), {
      "slirp-a": "0x19.0x0",
      "slirp-b": "0x1c.0x0",
    });
  });

  test("two that ask for one slot are refused", () => {
    const pciAddress = "0000:00:05.0";
    const asked = plansOf({ name: "a", pciAddress }, { name: "b", pciAddress });
    assert.match(
      messageOf(() => edited(domainWith([]), asked)),
      /^iface "b": link "stream": PCI address "0000:00:05.0" is taken by another device$/,
    );
  });

  test("an interface named as another's id keeps its hands off it", () => {
    const plans = plansOf({ name: "a" }, { name: "slirp-a" });
    const answer = edited(domainWith([]), plans);
    assert.equal(edited(answer, plans), answer);
    assert.deepEqual(Object.keys(slotsOf(answer)), ["slirp-a", "slirp-slirp-a"]);
  });

  test("stale pairs of all of them go, and a list of nothing else with them", () => {
    const stale = ["-netdev", "user,id=a", "-netdev", "user,id=slirp-b"];
    const [a, b] = plansOf({ name: "a" }, { name: "b" });
    assert.ok(a && b);
    const elsewhere = [a, b].map((plan) => ({ ...plan, attachment: { kind: "client", port: 1 } }));
    const answer = edited(domainWith(stale), elsewhere as readonly BindingPlan[]);
    assert.ok(!answer.includes("commandline"));
    const single = domainWith(stale.slice(0, 2));
    assert.ok(!edited(single, elsewhere as readonly BindingPlan[]).includes("commandline"));
    const empty = domainWith([]);
    assert.equal(edited(empty, elsewhere as readonly BindingPlan[]), empty, "not ours");
    const kept = edited(domainWith([...stale, "-foreign"]), elsewhere as readonly BindingPlan[]);
    assert.deepEqual(valuesOf(kept), ["-foreign"]);
  });
});
