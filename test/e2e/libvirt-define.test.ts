/**
 * Real libvirt and real QEMU take what the hook answers. Goal: for what virt-launcher hands over
 * (`test/fixtures/hooks`), each kind of link and model of card, libvirt defines the answer to every
 * call, against its schema, and starts QEMU with the card and the netdev that were planned.
 *
 * Method: the pure functions answer; `test/support/libvirt.ts` says what a plain machine needs to
 * have changed. Arguments are those of a real start (see `Libvirt.argv`). `domxml-to-native` is
 * asked for the links it can show: of others libvirt 9.0 makes taps first.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { LinkChoice, LinkKind } from "../../src/config/hook-settings.ts";
import type { BindingPlan } from "../../src/hooks/domain/plan.ts";
import { readVmi } from "../../src/hooks/domain/vmi.ts";
import { until } from "../support/e2e/shell.ts";
import {
  answerTo,
  CASES,
  contextOf,
  domainsOf,
  fixture,
  messageOf,
  plansFor,
  strip,
} from "../support/hook-fixtures.ts";
import { LINK_KINDS } from "../support/hook-plan.ts";
import { definable, type Libvirt, noLibvirt, startable, startLibvirt } from "../support/libvirt.ts";

const LIMIT = { timeout: 300_000 };
const MODELS = ["virtio", "e1000", "rtl8139"] as const;
/** What the memory of a domain may say, with the links that `auto` has then. */
const NUMA = (access: string): string =>
  `<numa><cell id="0" cpus="0" memory="1000000" unit="KiB"${access}/></numa>`;
type Memory = readonly [what: string, backing: string, numa: string, link: LinkKind];
const MEMORIES: readonly Memory[] = [
  ["nothing", "", "", "vhost-user"],
  ["an empty element", "<memoryBacking/>", "", "vhost-user"],
  ["memfd", '<memoryBacking><source type="memfd"/></memoryBacking>', "", "vhost-user"],
  [
    "a file",
    '<memoryBacking><source type="file"/><access mode="shared"/></memoryBacking>',
    "",
    "vhost-user",
  ],
  ["a NUMA cell", "", NUMA(""), "vhost-user"],
  ["a shared NUMA cell", "", NUMA(' memAccess="shared"'), "vhost-user"],
  [
    "a shared NUMA cell of private memory",
    '<memoryBacking><source type="memfd"/><access mode="private"/></memoryBacking>',
    NUMA(' memAccess="shared"'),
    "vhost-user",
  ],
  [
    "huge pages of a memfd",
    '<memoryBacking><hugepages><page size="2048" unit="KiB" nodeset="0"/></hugepages>' +
      '<source type="memfd"/></memoryBacking>',
    NUMA(""),
    "vhost-user",
  ],
  ["a private NUMA cell", "", NUMA(' memAccess="private"'), "client"],
  ["private", '<memoryBacking><access mode="private"/></memoryBacking>', "", "client"],
  ["anonymous", '<memoryBacking><source type="anonymous"/></memoryBacking>', "", "client"],
];

/** Cases with faults of the VM, and those that ask for another network or binding. */
const REFUSED = /^(?:x-(?!ports-duplicate)|f-)/;
const ANSWERED = CASES.filter((name) => !REFUSED.test(name));
const USUAL = "a-user-guide";

/** Fields of an interface of the VMI to set. */
type Fields = Readonly<Record<string, unknown>>;

interface Answer {
  readonly plans: readonly BindingPlan[];
  /** What the hook makes of a domain. */
  readonly define: (domain: string) => string;
}

/** A case whose VM has `fields` in each of the interfaces that are ours. */
function answer(
  name: string,
  link: LinkChoice,
  fields: Fields,
  env: Readonly<Record<string, string>> = {},
): Answer {
  const vmi = readVmi(withFields(fixture(`${name}.vmi.json`), fields));
  const context = contextOf(name, { SLIRP_LINK: link, ...env });
  const [first = ""] = domainsOf(name);
  return {
    plans: plansFor(first, vmi, context),
    define: (domain) => answerTo(domain, vmi, context),
  };
}

function withFields(vmi: string, fields: Fields): string {
  const root: { spec: { domain: { devices: { interfaces: Record<string, unknown>[] } } } } =
    JSON.parse(vmi);
  for (const each of root.spec.domain.devices.interfaces) {
    if ("slirp" in each || "binding" in each) Object.assign(each, fields);
  }
  return JSON.stringify(root);
}

function isPossible(link: LinkKind, model: string): boolean {
  return link !== "vhost-user" || model === "virtio";
}

function nameOf(xml: string): string {
  return /<name>([^<]*)<\/name>/.exec(xml)?.[1] ?? "";
}

/** Values of an option in QEMU's arguments, JSON and `type,key=value,…` alike. */
function valuesOf(argv: readonly string[], option: string): Record<string, unknown>[] {
  return argv.flatMap((each, index) =>
    each === option ? [readValue(argv[index + 1] ?? "", option)] : [],
  );
}

function readValue(text: string, option: string): Record<string, unknown> {
  if (text.startsWith("{")) return JSON.parse(text);
  const [first = "", ...rest] = text.split(/(?<!,),(?!,)/);
  const pairs = rest.map((each) => {
    const [key = "", ...value] = each.split("=");
    return [key, value.join("=")] as const;
  });
  return { [option === "-device" ? "driver" : "type"]: first, ...Object.fromEntries(pairs) };
}

/** Checks that QEMU gets one card and one netdev for each plan, as planned. */
function checkCards(argv: readonly string[], plans: readonly BindingPlan[]): void {
  const devices = valuesOf(argv, "-device");
  const netdevs = valuesOf(argv, "-netdev");
  for (const plan of plans) {
    const { device, attachment, interfaceName } = plan;
    const cards = devices.filter(({ mac }) => mac === device.mac);
    assert.equal(cards.length, 1, `cards with ${device.mac}: ${JSON.stringify(devices)}`);
    const [card = {}] = cards;
    assert.equal(card["driver"], device.driver);
    const isLibvirts = attachment.kind === "client" || attachment.kind === "vhost-user";
    assert.equal(card["id"], `${isLibvirts ? "ua" : "slirp"}-${interfaceName}`);
    assert.equal(card["bootindex"], device.bootOrder);
    assert.equal(card["acpi-index"], device.acpiIndex);
    assert.equal(card["romfile"], device.bootOrder === undefined ? "" : undefined);
    assert.equal(typeof card["bus"], "string");
    if (device.pci !== undefined) {
      const [slot, fn = "0"] = String(card["addr"]).split(".").map(Number);
      const bus = device.pci.bus === 0 ? "pcie.0" : `pci.${device.pci.bus}`;
      const wanted = [bus, device.pci.slot, device.pci.function];
      assert.deepEqual([card["bus"], slot, Number(fn)], wanted);
    }
    const found = netdevs.filter(({ id }) => id === card["netdev"]);
    assert.equal(found.length, 1, `netdevs of ${interfaceName}: ${JSON.stringify(netdevs)}`);
    checkNetdev(argv, found[0] ?? {}, plan);
  }
  const others = devices.filter(({ netdev }) => netdev !== undefined);
  assert.equal(others.length, plans.length, "no other cards of ours");
}

function checkNetdev(
  argv: readonly string[],
  netdev: Record<string, unknown>,
  { attachment, interfaceName }: BindingPlan,
): void {
  switch (attachment.kind) {
    case "client":
      assert.deepEqual(netdev, {
        type: "socket",
        connect: `127.0.0.1:${attachment.port}`,
        id: `hostua-${interfaceName}`,
      });
      break;
    case "vhost-user": {
      assert.equal(netdev["type"], "vhost-user");
      const socket = valuesOf(argv, "-chardev").find(({ id }) => id === netdev["chardev"]);
      assert.equal(socket?.["path"], attachment.path);
      assert.equal(socket?.["reconnect"], "1");
      assert.equal(socket?.["server"], undefined);
      const memory = valuesOf(argv, "-object").filter(({ size }) => size !== undefined);
      assert.ok(memory.length > 0);
      for (const { share, "qom-type": type } of memory) {
        assert.equal(share, true);
        assert.match(String(type), /^memory-backend-(?:memfd|file)$/);
      }
      break;
    }
    case "stream":
      assert.equal(netdev["type"], "stream");
      assert.equal(netdev["addr.path"], attachment.path);
      break;
    case "user":
      assert.equal(netdev["type"], "user");
      break;
  }
}

describe("cases without an answer", () => {
  for (const name of CASES.filter((each) => REFUSED.test(each))) {
    test(name, () =>
      assert.notEqual(
        messageOf(() => answer(name, "client", {})),
        "",
      ),
    );
  }
});

describe("libvirt", { skip: noLibvirt() }, () => {
  let libvirt: Libvirt;
  before(async () => {
    libvirt = await startLibvirt();
  }, LIMIT);
  after(() => libvirt.close(), LIMIT);

  function accepts(answers: readonly string[]): void {
    libvirt.accepts(answers.map((xml) => ({ name: nameOf(xml), xml: definable(xml) })));
  }

  for (const link of LINK_KINDS) {
    for (const model of MODELS.filter((each) => isPossible(link, each))) {
      test(`defines every answer: link ${link}, model ${model}`, LIMIT, () => {
        const answers = ANSWERED.flatMap((name) => {
          const { define } = answer(name, link, { model });
          return domainsOf(name).map(define);
        });
        accepts(answers);
      });
    }

    test(`starts QEMU as planned: link ${link}`, LIMIT, async () => {
      const model = "virtio";
      const asked = ANSWERED.map((name) => ({ name, ...answer(name, link, { model }) }));
      await Promise.all(
        asked.map(async ({ name, plans, define }) => {
          const [domain = ""] = domainsOf(name);
          checkCards(await libvirt.argv(startable(define(domain))), plans);
        }),
      );
    });

    test(`starts QEMU as planned after each call: link ${link}`, LIMIT, async () => {
      const { plans, define } = answer(USUAL, link, { model: "virtio" });
      const [first = "", second = "", third = ""] = domainsOf(USUAL);
      const again = [define(second), define(third)];
      const stripped = again.flatMap((each) => [define(strip(each)), define(strip(each, true))]);
      const answers = [define(first), ...again, ...again.map(define), ...stripped];
      accepts(answers);
      await Promise.all(
        answers.map(async (each) => checkCards(await libvirt.argv(startable(each)), plans)),
      );
    });

    test(`starts QEMU with all that a VM may ask of a card: link ${link}`, LIMIT, async () => {
      const asked = MODELS.filter((each) => isPossible(link, each)).flatMap((model) => [
        { model },
        {
          model,
          macAddress: "02-00-00-AB-cd-Ef",
          pciAddress: "0000:00:10.0",
          bootOrder: 3,
          acpiIndex: 101,
        },
      ]);
      await Promise.all(
        asked.map(async (fields) => {
          const { plans, define } = answer(USUAL, link, fields);
          const xml = define(domainsOf(USUAL)[1] ?? "");
          checkCards(await libvirt.argv(startable(xml)), plans);
        }),
      );
    });
  }

  for (const [what, backing, numa, link] of MEMORIES) {
    test(`takes what auto makes of memory that says: ${what}`, LIMIT, async () => {
      const [, second = ""] = domainsOf(USUAL);
      const domain = startable(second)
        .replace("<os>", `${backing}<os>`)
        .replace(/<cpu\b[\s\S]*<\/cpu>/, `<cpu>${numa}</cpu>`);
      const vmi = readVmi(fixture(`${USUAL}.vmi.json`));
      const context = contextOf(USUAL);
      const plans = plansFor(domain, vmi, context);
      assert.deepEqual(
        plans.map(({ attachment }) => attachment.kind),
        [link],
      );
      const answer = answerTo(domain, vmi, context);
      assert.equal(answerTo(answer, vmi, context), answer);
      accepts([answer]);
      const argv = await libvirt.argv(answer);
      checkCards(argv, plans);
      const shared = valuesOf(argv, "-object").filter(({ share }) => share === true);
      const type = `memory-backend-${what === "a file" ? "file" : "memfd"}`;
      assert.deepEqual(
        shared.map((each) => each["qom-type"]),
        link === "vhost-user" ? [type] : [],
        argv.join(" "),
      );
    });
  }

  test("keeps alias, MAC, address and link state of a card it knows", LIMIT, () => {
    const fields = { state: "down", pciAddress: "0000:00:10.0", acpiIndex: 7 };
    const { plans, define } = answer(USUAL, "client", fields);
    const xml = define(domainsOf(USUAL)[0] ?? "");
    libvirt.define(definable(xml));
    const dump = libvirt.dump(nameOf(xml));
    libvirt.undefine(nameOf(xml));
    const [plan] = plans;
    const own = dump.match(/<interface type='client'>[\s\S]*?<\/interface>/)?.[0] ?? dump;
    assert.ok(own.includes(`<mac address='${plan?.device.mac}'/>`), own);
    assert.match(own, /<source address='127\.0\.0\.1' port='28500'\/>/);
    assert.match(own, /<model type='virtio-non-transitional'\/>/);
    assert.match(own, /<link state='down'\/>/);
    assert.match(own, /<alias name='ua-slirpnet'\/>/);
    assert.match(own, /<acpi index='7'\/>/);
    assert.match(own, /<address type='pci' [^>]*bus='0x00' slot='0x10' function='0x0'\/>/);
  });

  for (const link of ["stream", "user"] as const) {
    test(`domxml-to-native shows netdev and card: link ${link}`, LIMIT, () => {
      for (const model of MODELS) {
        const { plans, define } = answer(USUAL, link, { model, bootOrder: 1 });
        const xml = define(domainsOf(USUAL)[1] ?? "");
        checkCards(libvirt.native(startable(xml)), plans);
      }
    });
  }
});

describe("QEMU", { skip: noLibvirt() }, () => {
  let libvirt: Libvirt;
  const folder = mkdtempSync(join(tmpdir(), "slirp-e2e-"));
  before(async () => {
    libvirt = await startLibvirt();
  }, LIMIT);
  after(async () => {
    await libvirt.close();
    rmSync(folder, { recursive: true, force: true });
  }, LIMIT);

  /** Starts the domain with its processors stopped and hands over what its monitor says. */
  async function monitored(xml: string): Promise<string> {
    await libvirt.startPaused(xml);
    try {
      return ["info network", "info qtree"]
        .map((each) => libvirt.monitor(nameOf(xml), each))
        .join();
    } finally {
      libvirt.end(nameOf(xml));
    }
  }

  for (const model of MODELS) {
    test(`has the card and dials: link client, model ${model}`, LIMIT, async () => {
      let dialled = 0;
      const server = createServer((socket) => {
        dialled += 1;
        socket.on("error", () => {});
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      try {
        const { port } = server.address() as AddressInfo;
        const env = { SLIRP_LOOPBACK_PORT: String(port) };
        const { plans, define } = answer(USUAL, "client", { model, acpiIndex: 5 }, env);
        const seen = await monitored(startable(define(domainsOf(USUAL)[1] ?? "")));
        checkSeen(seen, plans, "ua-slirpnet");
        await until(() => dialled === 1, "QEMU to connect");
      } finally {
        server.close();
      }
    });

    test(`has the card: link user, model ${model}`, LIMIT, async () => {
      const { plans, define } = answer(USUAL, "user", { model, bootOrder: 1, acpiIndex: 5 });
      const seen = await monitored(startable(define(domainsOf(USUAL)[1] ?? "")));
      checkSeen(seen, plans, "slirp-slirpnet");
      assert.match(seen, /net=10\.0\.2\.0/);
    });

    test(`has the card: link stream, model ${model}`, LIMIT, async () => {
      // Nobody listens, as where a sidecar is gone: that must not keep QEMU from starting.
      const { plans, define } = answer(USUAL, "stream", { model, pciAddress: "0000:00:10.0" });
      const seen = await monitored(startable(define(domainsOf(USUAL)[1] ?? "")));
      checkSeen(seen, plans, "slirp-slirpnet");
    });
  }

  function checkSeen(seen: string, plans: readonly BindingPlan[], id: string): void {
    const [plan] = plans;
    const line = seen.split("\n").find((each) => each.startsWith(`${id}:`)) ?? seen;
    assert.ok(line.includes(`macaddr=${plan?.device.mac}`), line);
    assert.ok(seen.includes(`, id "${id}"`), seen);
  }
});
