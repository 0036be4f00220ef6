/** Documents of all shapes: what is attached, what stays, what is refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LinkChoice } from "../../../src/config/hook-settings.ts";
import { readDomain } from "../../../src/hooks/domain/document.ts";
import { derivePlans } from "../../../src/hooks/domain/plan.ts";
import { readVmi, type Vmi } from "../../../src/hooks/domain/vmi.ts";
import { attributeOf, childOf } from "../../../src/hooks/domain/xml.ts";
import {
  answerTo,
  contextOf,
  MEMORY,
  messageOf,
  mutateDomain,
} from "../../support/hook-fixtures.ts";
import { LINK_KINDS } from "../../support/hook-plan.ts";

/** A VMI with one bound interface, changed as asked. */
function vmiWith(iface: object = {}, spec: object = {}): Vmi {
  return readVmi(
    JSON.stringify({
      metadata: { name: "vm", namespace: "ns" },
      spec: {
        domain: {
          devices: { interfaces: [{ name: "net", binding: { name: "slirp" }, ...iface }] },
        },
        networks: [{ name: "net", pod: {} }],
        ...spec,
      },
    }),
  );
}

function mutate(xml: string, link: LinkChoice, vmi: Vmi = vmiWith()): string {
  return answerTo(xml, vmi, contextOf("", { SLIRP_LINK: link }));
}

const QEMU = 'xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0"';

describe("documents", () => {
  test("a compact document stays compact, an empty tag is opened", () => {
    const answer = mutate("<domain><devices/></domain>", "client");
    assert.match(answer, /^<domain><devices><interface type="client"><mac [^>]+\/><source /);
    assert.match(answer, /<\/interface><\/devices><\/domain>$/);
    assert.equal(mutate(answer, "client"), answer);
  });

  test("line ends, byte order mark, declaration, comments, CDATA and entities stay", () => {
    const before = '\ufeff<?xml version="1.0"?>\r\n<!-- a -- >'.replace("-- >", "-->");
    const rest = "<name>a&amp;b&#10;<![CDATA[<&]]></name>\r\n";
    const open = `${before}\r\n<domain a='1'  b = "&lt;">\r\n  ${rest}  `;
    const xml = `${open}<devices>\r\n  </devices>\r\n</domain>`;
    const answer = mutate(xml, "client");
    assert.ok(answer.startsWith(xml.slice(0, xml.indexOf("<devices>") + 9)));
    assert.ok(!/[^\r]\n/.test(answer));
    assert.equal(answer.replace(/\r\n *\t<interface.*<\/interface>/s, ""), xml);
    assert.equal(mutate(answer, "client"), answer);
  });

  test("QEMU's prefix is declared once, under another name where it means something else", () => {
    const plain = mutate("<domain><devices/></domain>", "user");
    assert.ok(plain.startsWith(`<domain ${QEMU}><devices/><qemu:commandline><qemu:arg `));
    const taken = mutate('<domain xmlns:qemu="urn:other"><devices/></domain>', "user");
    assert.match(
      taken,
      /^<domain xmlns:qemu="urn:other" xmlns:qemu1="[^"]+"><devices\/><qemu1:comm/,
    );
    const other = mutate(`<domain ${QEMU.replace("qemu=", "q=")}><devices/></domain>`, "user");
    assert.match(other, /<q:commandline><q:arg value="-netdev"\/>/);
    const local = `<domain><devices/><commandline ${QEMU.replace(":qemu", "")}/></domain>`;
    assert.match(mutate(local, "user"), /<commandline xmlns="[^"]+"><arg value="-netdev"\/>/);
    for (const each of [plain, taken, other, mutate(local, "user")]) {
      assert.equal(mutate(each, "user"), each);
    }
  });

  test("arguments and variables of others stay, ours go between them", () => {
    const args = '<qemu:arg value="-fw_cfg"/><qemu:arg value="name=x,file=y"/>';
    const env = '<qemu:env name="A" value="B"/>';
    const lines = `<qemu:commandline>${args}${env}</qemu:commandline>`;
    const xml = `<domain ${QEMU}><devices/>${lines}</domain>`;
    const answer = mutate(xml, "stream");
    assert.ok(answer.includes(`<qemu:commandline>${args}<qemu:arg value="-netdev"/>`));
    assert.ok(answer.endsWith(`${env}</qemu:commandline></domain>`));
    assert.equal(
      mutate(answer, "client").replace(/<interface.*<\/interface>/, ""),
      xml.replace("<devices/>", "<devices></devices>"),
    );
    const alone = `<qemu:commandline>${env}</qemu:commandline>`;
    const onlyEnv = `<domain ${QEMU}><devices/>${alone}</domain>`;
    assert.match(
      mutate(onlyEnv, "user"),
      /"\/><qemu:env name="A" value="B"\/><\/qemu:commandline>/,
    );
  });

  test("an argument of someone else that merely looks like ours stays", () => {
    const foreign = ["-netdev", "user,id=net2", "-device", '{"driver":"e1000","netdev":"net2"}'];
    const args = foreign.map((value) => `<qemu:arg value='${value}'/>`).join("");
    const xml = `<domain ${QEMU}><devices/><qemu:commandline>${args}</qemu:commandline></domain>`;
    assert.ok(mutate(xml, "user").includes(args));
    assert.equal(
      mutate(mutate(xml, "user"), "client").replace(/<interface.*<\/interface>/, ""),
      xml.replace("<devices/>", "<devices></devices>"),
    );
  });

  test("of our element, an address and what we do not write stay; surplus ones go", () => {
    const address = '<address type="pci" domain="0x0000" bus="0x02" slot="0x00" function="0x0"/>';
    const children = `<mtu size="1"/><alias name="ua-net"/>${address}<x:y/>`;
    const old = `<interface type="ethernet" xmlns:x="urn:x">${children}</interface>`;
    const answer = mutate(`<domain><devices>${old}<a/>${old}</devices></domain>`, "client");
    assert.match(answer, /<devices><interface type="client" xmlns:x="urn:x">/);
    assert.ok(
      answer.endsWith(`<alias name="ua-net"/>${address}<x:y/></interface><a/></devices></domain>`),
    );
    const asked = mutate(answer, "client", vmiWith({ pciAddress: "0000:03:00.0" }));
    assert.equal(asked.match(/<address type="pci"/g)?.length, 1);
    assert.ok(asked.includes('bus="0x03"'));
  });

  test("of our element, all that libvirt refuses for the link goes", () => {
    const children = [
      ...["acpi", "backend", "boot", "coalesce", "driver", "filterref", "guest", "ip", "link"],
      ...["mtu", "portForward", "rom", "route", "target", "tune", "virtualport", "vlan"],
    ];
    const old = children.map((name) => `<${name} stale=''/>`).join("");
    const own = `<interface><alias name="ua-net"/>${old}<bandwidth/></interface>`;
    const xml = `<domain><devices>${own}</devices></domain>`;
    const answer = mutate(xml, "client");
    assert.ok(!answer.includes("stale"), answer);
    assert.ok(answer.includes("<bandwidth/>"));
  });

  test("the VMI's order of interfaces is kept", () => {
    const spec = {
      domain: {
        devices: {
          interfaces: [
            { name: "a", bridge: {} },
            { name: "net", binding: { name: "slirp" } },
            { name: "b", bridge: {} },
          ],
        },
      },
    };
    const iface = (name: string): string => `<interface><alias name="${name}"/></interface>`;
    const cards = ["ua-a", "ua-b", "placeholder-0"].map(iface).join("");
    const xml = `<domain><devices>${cards}</devices></domain>`;
    const order = (text: string): (string | undefined)[] =>
      readDomain(text).devices.children.map((each) => attributeOf(childOf(each, "alias"), "name"));
    const answer = mutate(xml, "client", vmiWith({}, spec));
    assert.deepEqual(order(answer), ["ua-a", "ua-net", "ua-b", "placeholder-0"]);
  });

  test("every wish for the card is in the element", () => {
    const vmi = vmiWith({
      model: "e1000e",
      macAddress: "02-00-00-AA-BB-CC",
      pciAddress: "0000:81:01.3",
      bootOrder: 2,
      acpiIndex: 7,
      state: "down",
    });
    assert.equal(
      mutate("<domain><devices></devices></domain>", "client", vmi),
      '<domain><devices><interface type="client"><mac address="02:00:00:aa:bb:cc"/>' +
        '<source address="127.0.0.1" port="28500"/><model type="e1000e"/><link state="down"/>' +
        '<boot order="2"/><acpi index="7"/><alias name="ua-net"/><address type="pci" ' +
        'domain="0x0000" bus="0x81" slot="0x01" function="0x3"/></interface></devices></domain>',
    );
  });

  test("cards that libvirt does not know are refused a slot that is not free", () => {
    const disk = '<disk><address type="pci" bus="0x00" slot="0x05"/></disk>';
    const xml = `<domain><devices>${disk}</devices></domain>`;
    const wish = (pciAddress: string) => vmiWith({ pciAddress });
    for (const link of ["stream", "user"] as const) {
      assert.throws(() => mutate(xml, link, wish("0000:00:05.0")), {
        code: "failed-precondition",
        message: [
          `iface "net": link "${link}":`,
          'PCI address "0000:00:05.0" is taken by another device',
        ].join(" "),
      });
      assert.throws(() => mutate(xml, link, wish("0000:81:01.0")), /no controller for/);
      const answer = mutate(xml, link, wish("0000:00:06.0"));
      assert.equal(mutate(answer, link, wish("0000:00:06.0")), answer);
    }
    mutate(xml, "client", wish("0000:00:05.0")); // libvirt's to refuse
  });

  test("encrypted memory makes virtio go through the IOMMU interface", () => {
    const xml = '<domain><devices/><launchSecurity type="sev"/></domain>';
    assert.ok(mutate(xml, "client").includes('<driver iommu="on"/>'));
    assert.ok(mutate(xml, "stream").includes("&#34;iommu_platform&#34;:true"));
    assert.ok(!mutate(xml, "client", vmiWith({ model: "e1000" })).includes("iommu"));
    assert.ok(mutate(xml, "auto").includes('<interface type="client">'));
  });

  test("a wrong root, no devices and no XML are refused", () => {
    const messages = [
      ["<vm/>", 'parse domain XML: root "vm": wanted "domain"'],
      ['<domain xmlns="urn:x"/>', 'parse domain XML: root "domain": wanted "domain"'],
      ["<domain/>", 'parse domain XML: no element "devices"'],
      ["", "parse domain XML: no root element"],
    ] as const;
    for (const [xml, message] of messages) {
      assert.equal(
        messageOf(() => mutate(xml, "client")),
        message,
      );
    }
  });
});

describe("several interfaces", () => {
  const spec = {
    domain: {
      devices: {
        interfaces: [
          { name: "a", binding: { name: "slirp" } },
          { name: "b", binding: { name: "slirp" } },
        ],
      },
    },
    networks: [
      { name: "a", pod: {} },
      { name: "b", pod: {} },
    ],
  };

  test("each has its port, path, ids and slot, and twice is once", () => {
    const domain = '<domain><os><type machine="q35">hvm</type></os><devices/></domain>';
    const client = mutate(domain, "client", vmiWith({}, spec));
    assert.match(client, /port="28500".*ua-a.*port="28501".*ua-b/);
    const stream = mutate(domain, "stream", vmiWith({}, spec));
    assert.match(stream, /stream-0\.sock.*slirp-a.*0x1c\.0x0.*stream-1\.sock.*slirp-b.*0x19\.0x0/);
    const shared = mutate(domain, "vhost-user", vmiWith({}, spec));
    assert.equal(shared.match(/<memoryBacking>/g)?.length, 1);
    for (const [link, answer] of [
      ["client", client],
      ["stream", stream],
      ["vhost-user", shared],
    ] as const) {
      assert.equal(mutate(answer, link, vmiWith({}, spec)), answer);
    }
  });
});

describe("cards of several models", () => {
  const cards = [
    { name: "a", binding: { name: "slirp" }, model: "e1000" },
    { name: "b", binding: { name: "slirp" } },
  ];
  const networks = cards.map(({ name }) => ({ name, pod: {} }));
  const vmi = vmiWith({}, { domain: { devices: { interfaces: cards } }, networks });

  test("have different links by auto, and memory is shared once", () => {
    const answer = mutate("<domain><memory/><devices/></domain>", "auto", vmi);
    assert.match(
      answer,
      /^<domain><memory\/><memoryBacking>.*<interface type="client">.*ua-a.*"vhostuser">.*ua-b/,
    );
    assert.match(
      answer,
      /vhost-user-1\.sock" mode="client"><reconnect enabled="yes" timeout="1"\/>/,
    );
    assert.doesNotMatch(answer, /<mtu/);
    assert.equal(mutate(answer, "auto", vmi), answer);
  });

  test("none has vhost-user where memory cannot be shared, which stays as it is", () => {
    const private_ = '<memoryBacking><access mode="private"/></memoryBacking>';
    const answer = mutate(`<domain><memory/>${private_}<devices/></domain>`, "auto", vmi);
    assert.ok(answer.startsWith(`<domain><memory/>${private_}<devices><interface type="client">`));
    assert.doesNotMatch(answer, /vhostuser/);
  });
});

describe("many interfaces", () => {
  const vmiOf = (count: number): Vmi => {
    const names = Array.from({ length: count }, (_, index) => `n${index}`);
    const interfaces = names.map((name) => ({ name, slirp: {} }));
    const networks = names.map((name) => ({ name, pod: {} }));
    const spec = { domain: { devices: { interfaces } }, networks };
    return readVmi(JSON.stringify({ metadata: { name: "vm" }, spec }));
  };
  for (const link of LINK_KINDS) {
    test(`${link}: the domain is read once for all of them`, () => {
      const domain = "<domain><devices><disk/></devices></domain>";
      const lookups = (count: number): number => {
        const vmi = vmiOf(count);
        const plans = derivePlans(vmi, MEMORY, contextOf("", { SLIRP_LINK: link }));
        return countCalls(RegExp.prototype, "exec", () => mutateDomain(domain, vmi, plans));
      };
      assert.ok(lookups(240) < 2.5 * lookups(120), "twice as many take twice the work");
    });
  }
});

/** How often a method is called while `work` runs. */
function countCalls(owner: RegExp, name: "exec", work: () => unknown): number {
  const original = owner[name];
  let count = 0;
  owner[name] = function counting(this: RegExp, text: string) {
    count += 1;
    return original.call(this, text);
  };
  try {
    work();
    return count;
  } finally {
    owner[name] = original;
  }
}
