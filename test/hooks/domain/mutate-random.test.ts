/** Random domains, made of pieces of ours, stale ones and other people's: theirs all stay. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { derivePlans } from "../../../src/hooks/domain/plan.ts";
import { readVmi } from "../../../src/hooks/domain/vmi.ts";
import { parseXml } from "../../../src/hooks/domain/xml.ts";
import { contextOf, MEMORY, mutateDomain, strip } from "../../support/hook-fixtures.ts";
import { LINK_KINDS } from "../../support/hook-plan.ts";

const SEED = 20260831;
const QEMU = "http://libvirt.org/schemas/domain/qemu/1.0";

const VMI = readVmi(
  JSON.stringify({
    metadata: { name: "vm" },
    spec: {
      domain: { devices: { interfaces: ["a", "b"].map((name) => ({ name, slirp: {} })) } },
      networks: ["a", "b"].map((name) => ({ name, pod: {} })),
    },
  }),
);

/** Marked with `foreign`, so that they can be counted in the answer. */
const foreignDevice = fc.constantFrom(
  '<interface type="ethernet"><target dev="placeholder-0"/><foreign/></interface>',
  '<interface><alias name="ua-c"/><foreign/></interface>',
  "<disk foreign='1'/>",
  "<!-- foreign -->",
  '<video><address type="pci" bus="0x00" slot="0x1c"/><foreign/></video>',
);
const ownDevice = fc.constantFrom(
  '<interface type="ethernet"><alias name="ua-a"/></interface>',
  '<interface type="client"><mtu size="9"/><alias name="ua-b"/></interface>',
);
const foreignArgument = fc.constantFrom(
  "<q:arg value='-foreign'/><q:arg value='x'/>",
  "<q:arg value='-netdev'/><q:arg value='user,id=foreign'/>",
  "<q:arg value='-device'/><q:arg value='foreign,addr=0x19'/>",
  "<!-- foreign -->",
);
const ownArgument = fc.constantFrom(
  "<q:arg value='-netdev'/><q:arg value='user,id=a'/>",
  "<q:arg value='-device'/><q:arg value='e1000,netdev=slirp-b'></q:arg>",
  "<q:arg value='-netdev'/><q:arg value='stream,id=slirp-b'/>",
);

const domain = fc
  .record({
    lead: fc.constantFrom("", "\n", "\r\n", "\n  "),
    devices: fc.array(fc.oneof(foreignDevice, ownDevice), { maxLength: 6 }),
    hasCommandLine: fc.boolean(),
    values: fc.array(fc.oneof(foreignArgument, ownArgument), { maxLength: 5 }),
    hasVariable: fc.boolean(),
  })
  .map(({ lead, devices, hasCommandLine, values, hasVariable }) => {
    const inside = (parts: readonly string[]): string =>
      parts.map((part) => `${lead}\t${part}`).join("") + lead;
    const list = [...values, ...(hasVariable ? ["<q:env name='foreign'/>"] : [])];
    const commandLine = hasCommandLine ? `<q:commandline>${inside(list)}</q:commandline>` : "";
    return `<domain xmlns:q="${QEMU}"><devices>${inside(devices)}</devices>${commandLine}</domain>`;
  });

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

describe("random domains", () => {
  for (const link of LINK_KINDS) {
    const plans = derivePlans(VMI, MEMORY, contextOf("", { SLIRP_LINK: link }));
    const isElement = link === "client" || link === "vhost-user";

    test(`${link}: two cards, twice is once, and all that is foreign stays in order`, () => {
      fc.assert(
        fc.property(domain, (xml) => {
          const answer = mutateDomain(xml, VMI, plans);
          parseXml(answer);
          assert.equal(mutateDomain(answer, VMI, plans), answer);
          const foreign = /<[^<]*foreign[^<]*/g;
          const trim = (text: string): string[] => (text.match(foreign) ?? []).map((s) => s.trim());
          assert.deepEqual(trim(answer), trim(xml));
          assert.equal(count(answer, /name="ua-[ab]"/g), isElement ? 2 : 0);
          assert.equal(count(answer, /id=slirp-[ab],/g), isElement ? 0 : 2);
          assert.equal(count(answer, /netdev&#34;:&#34;slirp-[ab]&#34;/g), isElement ? 0 : 2);
          assert.equal(count(answer, /e1000,netdev|id=a'/g), 0);
          const again = mutateDomain(strip(answer), VMI, plans);
          assert.equal(count(again, /name="ua-[ab]"/g), isElement ? 2 : 0);
        }),
        { seed: SEED, numRuns: 300 },
      );
    });
  }
});
