/** Every fixture with every link: the right answer or the right error, and nothing else touched. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LinkKind } from "../../../src/config/hook-settings.ts";
import { HookError } from "../../../src/hooks/domain/errors.ts";
import { readVmi } from "../../../src/hooks/domain/vmi.ts";
import { attributeOf, childOf, parseXml, type XmlElement } from "../../../src/hooks/domain/xml.ts";
import {
  CASES,
  define,
  domainsOf,
  fixture,
  messageOf,
  strip,
} from "../../support/hook-fixtures.ts";
import { LINK_KINDS } from "../../support/hook-plan.ts";

const NOT_SET =
  'iface "slirpnet" is not set with slirp network binding plugin or slirp binding method';
const NETWORK = (cidr: string): string =>
  `iface "slirpnet": invalid network CIDR "${cidr}": ` +
  'wanted an IPv4 network such as "10.0.2.0/24"';
const PORT = (port: number): string =>
  `iface "slirpnet": invalid port "${port}": wanted 1 to 65535`;

/** Cases that no link can serve. */
const REFUSED: Readonly<Record<string, string>> = {
  "f-only-multus": "pod network not found",
  "f-secondary-multus":
    'iface "slirpnet": network "slirpnet" is not the pod network, which is "default"',
  "x-bad-cidr": NETWORK("10.0.2.0/33"),
  "x-cidr-ipv6": NETWORK("fd00::/64"),
  "x-cidr-no-mask": NETWORK("10.0.2.0"),
  "x-masquerade": NOT_SET,
  "x-no-networks": "pod network not found",
  "x-port-70000": PORT(70000),
  "x-port-negative": PORT(-1),
  "x-port-zero": PORT(0),
  "x-wrong-binding": NOT_SET,
};

/** Cases whose domain comes with a network card or arguments for our interface. */
const GIVEN = ["g-qemu-args-already-slirp", "i-tap-attachment", "i-tap-attachment-ports-mac"];

function expectedError(name: string, link: LinkKind): string {
  const model = readVmi(fixture(`${name}.vmi.json`)).interfaces[0]?.model ?? "virtio";
  if (REFUSED[name] !== undefined) return REFUSED[name];
  if (link !== "vhost-user" || model === "virtio") return "";
  return `iface "slirpnet": model "${model}": link "vhost-user" needs "virtio"`;
}

function served(link: LinkKind): string[] {
  return CASES.filter((name) => expectedError(name, link) === "" && name !== "k-absent-state");
}

function devicesOf(xml: string): XmlElement {
  const devices = childOf(parseXml(xml), "devices");
  assert.ok(devices);
  return devices;
}

/** Our interfaces and values of all QEMU arguments. */
function attached(xml: string): { interfaces: XmlElement[]; values: string[] } {
  const interfaces = devicesOf(xml).children.filter(
    (each) => attributeOf(childOf(each, "alias"), "name") === "ua-slirpnet",
  );
  const values = parseXml(xml)
    .children.filter(({ local }) => local === "commandline")
    .flatMap(({ children }) => children)
    .flatMap((each) => (each.local === "arg" ? [attributeOf(each, "value") ?? ""] : []));
  return { interfaces, values };
}

const TYPES = { client: "client", "vhost-user": "vhostuser", stream: "", user: "" } as const;

function assertAttachedOnce(xml: string, link: LinkKind, what: string): void {
  const { interfaces, values } = attached(xml);
  const wanted = TYPES[link] === "" ? [] : [TYPES[link]];
  assert.deepEqual(
    interfaces.map((each) => attributeOf(each, "type")),
    wanted,
    what,
  );
  const netdevs = values.filter((value) => value.startsWith(`${link},id=slirp-slirpnet`));
  const cards = values.filter((value) => value.includes('"netdev":"slirp-slirpnet"'));
  assert.equal(netdevs.length, wanted.length === 0 ? 1 : 0, what);
  assert.equal(cards.length, wanted.length === 0 ? 1 : 0, what);
  assert.ok(!values.some((value) => /id=slirpnet|"slirpnet"/.test(value)), what);
}

/** Takes out by text what an answer to an indented domain has more than its question. */
function withoutOurs(xml: string, question: string): string {
  let text = xml.replace(
    /\n\t\t<interface type="(?:client|vhostuser)">\n(?:\t\t\t.*\n)*?\t\t<\/interface>/,
    "",
  );
  if (question.includes("<qemu:commandline>")) {
    text = text.replace(
      /(?:\n\t\t<qemu:arg value="(?:-netdev|-device|[^"]*slirp-slirpnet[^"]*)"\/>)/g,
      "",
    );
  } else {
    text = text.replace(/\n\t<qemu:commandline>\n(?:\t\t.*\n)*\t<\/qemu:commandline>/, "");
  }
  return question.includes("<memoryBacking>")
    ? text.replace('\n\t\t<access mode="shared"/>', "")
    : text.replace(/\n\t<memoryBacking>\n(?:\t\t.*\n)*\t<\/memoryBacking>/, "");
}

describe("fixtures", () => {
  test("there are fixtures, and both tables name some that exist", () => {
    assert.ok(CASES.length > 30);
    for (const name of [...Object.keys(REFUSED), ...GIVEN]) assert.ok(CASES.includes(name), name);
  });

  for (const link of LINK_KINDS) {
    test(`${link}: each case has its answer or its error`, () => {
      for (const name of CASES) {
        const what = `${name} ${link}`;
        const [domain = ""] = domainsOf(name);
        const wanted = expectedError(name, link);
        assert.equal(
          messageOf(() => define(name, link, domain)),
          wanted,
          what,
        );
        if (wanted !== "") {
          assert.throws(() => define(name, link, domain), HookError, what);
        } else if (name === "k-absent-state") {
          assert.equal(define(name, link, domain), domain);
        } else assertAttachedOnce(define(name, link, domain), link, what);
      }
    });

    test(`${link}: twice is once, and so is on what KubeVirt's schema leaves of the answer`, () => {
      for (const name of served(link)) {
        for (const [index, domain] of domainsOf(name).entries()) {
          const what = `${name} ${link} call ${index + 1}`;
          const once = define(name, link, domain);
          assert.equal(define(name, link, once), once, what);
          assert.equal(define(name, link, strip(once, true)), once, `${what} arguments kept`);
          if (name.startsWith("g-qemu-args-ignition")) continue;
          const wanted = TYPES[link] === "" ? once : once.replace(/ xmlns:qemu="[^"]*"/, "");
          assert.equal(define(name, link, strip(once)), wanted, `${what} stripped`);
        }
      }
    });

    test(`${link}: what is not ours stays byte for byte`, () => {
      for (const name of served(link)) {
        if (GIVEN.includes(name)) continue;
        for (const domain of domainsOf(name).slice(0, 2)) {
          assert.equal(withoutOurs(define(name, link, domain), domain), domain, `${name} ${link}`);
        }
      }
    });

    test(`${link}: the calls of one start end in one card and one set of arguments`, () => {
      for (const name of served(link)) {
        const domains = domainsOf(name);
        const last = domains.map((domain) => define(name, link, domain)).at(-1) ?? "";
        assertAttachedOnce(last, link, name);
        const third = define(name, link, strip(last, true));
        assertAttachedOnce(define(name, link, strip(third)), link, name);
      }
    });
  }

  test("from any link to any other: one card, one set of arguments", () => {
    for (const name of ["a-user-guide", "i-tap-attachment", "h-hugepages-memfd"]) {
      const [domain = ""] = domainsOf(name);
      for (const before of LINK_KINDS) {
        for (const after of LINK_KINDS) {
          const answer = define(name, after, define(name, before, domain));
          assertAttachedOnce(answer, after, `${name} ${before} ${after}`);
          const count = devicesOf(answer).children.filter((each) => each.local === "interface");
          assert.equal(count.length, TYPES[after] === "" ? 3 : 4, `${name} ${before} ${after}`);
        }
      }
    }
  });

  test("auto: vhost-user for virtio cards, huge pages and NUMA cells too; else client", () => {
    for (const name of served("client")) {
      const link = expectedError(name, "vhost-user") === "" ? "vhost-user" : "client";
      for (const [index, domain] of domainsOf(name).entries()) {
        const what = `${name} ${link} call ${index + 1}`;
        const answer = define(name, "auto", domain);
        assert.equal(answer, define(name, link, domain), what);
        assert.equal(define(name, "auto", strip(answer, true)), answer, what);
      }
    }
    for (const name of ["a-user-guide", "h-hugepages-memfd", "h-numa-hugepages"]) {
      assert.equal(expectedError(name, "vhost-user"), "", name);
    }
  });

  for (const file of [
    "a-user-guide.client",
    "a-user-guide.vhost-user",
    "h-hugepages-memfd.vhost-user",
    "a-user-guide.third.stream",
    "e-two-interfaces.user",
    "h-numa-hugepages.vhost-user",
    "i-tap-attachment-ports-mac.client",
  ]) {
    test(`the answer to ${file} is the one on file`, () => {
      const [name = "", ...rest] = file.split(".");
      const link = LINK_KINDS.find((each) => each === rest.at(-1));
      assert.ok(link);
      const domain = fixture(`${file.slice(0, -link.length)}domain.xml`);
      assert.equal(define(name, link, domain), fixture(`answers/${file}.domain.xml`));
    });
  }
});
