/**
 * The work of a call from octets to octets: the order of its parts, what the data plane hears of,
 * calls at the same time, octets that are no text.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DataPlane } from "../../src/hooks/data-plane.ts";
import { createDomainHooks, type DefineOptions } from "../../src/hooks/define.ts";
import { HookError, unsupported } from "../../src/hooks/domain/errors.ts";
import type { BindingPlan } from "../../src/hooks/domain/plan.ts";
import type { DomainHooks } from "../../src/hooks/domain-hooks.ts";
import { contextOf, define, fixture } from "../support/hook-fixtures.ts";

const CASE = "a-user-guide";
const DOMAIN = Buffer.from(fixture(`${CASE}.domain.xml`));
const VMI = Buffer.from(fixture(`${CASE}.vmi.json`));

/** Hooks over a data plane that does what `prepare` says and keeps what it was told. */
function hooksWith(
  prepare: () => Promise<void> = async () => {},
  more: Partial<DefineOptions> = {},
): {
  readonly hooks: DomainHooks;
  readonly told: (readonly BindingPlan[])[];
  readonly shutdowns: () => number;
} {
  const told: (readonly BindingPlan[])[] = [];
  let shutdowns = 0;
  const dataPlane: DataPlane = {
    autoLink: "vhost-user",
    memoryLimit: undefined,
    prepare: (plans) => {
      told.push(plans);
      return prepare();
    },
    idle: async () => {},
    close: async () => {},
  };
  const hooks = createDomainHooks({
    dataPlane,
    context: () => contextOf(CASE),
    onShutdown: () => {
      shutdowns += 1;
    },
    ...more,
  });
  return { hooks, told, shutdowns: () => shutdowns };
}

async function refusalOf(work: Promise<unknown> | unknown): Promise<string> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof HookError, String(error));
    return `${error.code}: ${error.message}`;
  }
  return "";
}

describe("a domain is defined", () => {
  test("with the answer that the pure function gives, once the data plane is ready", async () => {
    let isReady = false;
    const { hooks, told } = hooksWith(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      isReady = true;
    });
    const answer = await hooks.onDefineDomain(DOMAIN, VMI);
    assert.ok(isReady);
    assert.equal(Buffer.from(answer).toString(), define(CASE, "auto", DOMAIN.toString()));
    assert.deepEqual(
      told.map((plans) => plans.map(({ interfaceName }) => interfaceName)),
      [["slirpnet"]],
    );
  });

  test("what was understood otherwise than written is told once, not at each call", async () => {
    const warnings: string[] = [];
    const { hooks } = hooksWith(async () => {}, {
      context: () => contextOf("x-ports-duplicate"),
      onWarning: (text) => void warnings.push(text),
    });
    const domain = Buffer.from(fixture("x-ports-duplicate.domain.xml"));
    const vmi = Buffer.from(fixture("x-ports-duplicate.vmi.json"));
    await hooks.onDefineDomain(domain, vmi);
    await hooks.onDefineDomain(domain, vmi);
    assert.deepEqual(warnings, [
      'iface "slirpnet": port "80/TCP" is listed twice',
      'iface "slirpnet": port "80/UDP" is listed twice',
    ]);
  });

  test("which link each interface has is told once, with the reason", async () => {
    const told: string[] = [];
    const { hooks } = hooksWith(async () => {}, {
      onLink: ({ interfaceName, attachment, linkReason }) =>
        void told.push(`${interfaceName} ${attachment.kind}: ${linkReason}`),
    });
    await hooks.onDefineDomain(DOMAIN, VMI);
    await hooks.onDefineDomain(DOMAIN, VMI);
    const backing = '<memoryBacking><access mode="private"/></memoryBacking>';
    const closed = DOMAIN.toString().replace("<devices>", `${backing}<devices>`);
    await hooks.onDefineDomain(Buffer.from(closed), VMI);
    assert.deepEqual(told, [
      "slirpnet vhost-user: virtio card, memory can be shared",
      'slirpnet client: memory access "private": wanted "shared"',
    ]);
  });

  test("memory is asked back after a large call, whether it ended well or not", async () => {
    const large: number[] = [];
    const { hooks } = hooksWith(async () => {}, {
      onLarge: () => void large.push(1),
    });
    await hooks.onDefineDomain(DOMAIN, VMI);
    assert.equal(large.length, 0);
    await refusalOf(hooks.onDefineDomain(Buffer.alloc(1 << 20, "<a>"), VMI));
    assert.equal(large.length, 1);
  });

  test("without a data plane that could not make it ready", async () => {
    const { hooks } = hooksWith(async () => {
      throw unsupported("no room");
    });
    const refused = await refusalOf(hooks.onDefineDomain(DOMAIN, VMI));
    assert.equal(refused, "failed-precondition: no room");
  });

  test("and a refused one leaves the data plane alone", async () => {
    const { hooks, told } = hooksWith();
    const wrong = Buffer.from("<network/>");
    assert.match(await refusalOf(hooks.onDefineDomain(wrong, VMI)), /^invalid-argument: parse dom/);
    assert.match(
      await refusalOf(hooks.onDefineDomain(DOMAIN, wrong)),
      /^invalid-argument: parse VMI/,
    );
    assert.deepEqual(told, []);
  });

  test("octets that are no text are refused by name", async () => {
    const { hooks } = hooksWith();
    for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
      const bad = Uint8Array.from([...DOMAIN, ...bytes]);
      assert.equal(
        await refusalOf(hooks.onDefineDomain(bad, VMI)),
        "invalid-argument: parse domain XML: not UTF-8",
      );
      assert.equal(
        await refusalOf(hooks.onDefineDomain(DOMAIN, bad)),
        "invalid-argument: parse VMI: not UTF-8",
      );
    }
  });

  test("a byte order mark comes back with the rest", async () => {
    const { hooks } = hooksWith();
    const mark = Buffer.from([0xef, 0xbb, 0xbf]);
    const answer = await hooks.onDefineDomain(Buffer.concat([mark, DOMAIN]), VMI);
    const plain = await hooks.onDefineDomain(DOMAIN, VMI);
    assert.deepEqual(Buffer.from(answer), Buffer.concat([mark, plain]));
  });

  test("one after the other, also after one that failed", async () => {
    let running = 0;
    let most = 0;
    let count = 0;
    const { hooks } = hooksWith(async () => {
      running += 1;
      most = Math.max(most, running);
      count += 1;
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      if (count % 3 === 0) throw unsupported("every third");
    });
    const calls = Array.from({ length: 12 }, () => refusalOf(hooks.onDefineDomain(DOMAIN, VMI)));
    const refused = (await Promise.all(calls)).filter((text) => text !== "");
    assert.equal(most, 1);
    assert.equal(count, 12);
    assert.equal(refused.length, 4);
  });
});

test("Shutdown does not wait for a call that hangs", async () => {
  const { hooks, shutdowns } = hooksWith(() => new Promise(() => {}));
  void hooks.onDefineDomain(DOMAIN, VMI);
  await hooks.shutdown();
  await hooks.shutdown();
  assert.equal(shutdowns(), 2);
});
