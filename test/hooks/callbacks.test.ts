/**
 * The callbacks in each version: which methods there are, field numbers, octets that come back.
 * Messages are put together by hand from KubeVirt's protos: domainXML 1, vmi 2;
 * cloudInitNoCloudSource 1, vmi 2, cloudInitData 3.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { call, callback, EMPTY, refusal } from "../support/hook-client.ts";
import { MARK, startTestServer, type TestServer } from "../support/hook-server.ts";
import { message } from "../support/protobuf.ts";

const VERSIONS = ["v1alpha1", "v1alpha2", "v1alpha3"];
/** Octets of every value, so that a detour through text would show. */
const OCTETS = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
const LARGE = Buffer.alloc(300_000, OCTETS);

describe("callbacks", () => {
  let own: TestServer;
  let seen: { domain: Buffer; vmi: Buffer }[] = [];
  let shutdowns = 0;
  before(async () => {
    own = await startTestServer({
      hooks: {
        onDefineDomain: (domain, vmi) => {
          seen.push({ domain: Buffer.from(domain), vmi: Buffer.from(vmi) });
          return Buffer.concat([domain, Buffer.from(MARK)]);
        },
        shutdown: async () => {
          shutdowns += 1;
        },
      },
    });
  });
  after(() => own.end());
  beforeEach(() => {
    seen = [];
    shutdowns = 0;
  });

  for (const version of VERSIONS) {
    const onDefineDomain = callback(version, "OnDefineDomain");

    test(`${version} OnDefineDomain hands over both fields, answers with the first`, async () => {
      const answer = await call(own.path, onDefineDomain, message([1, "<domain/>"], [2, "{}"]));
      assert.deepEqual(answer, message([1, `<domain/>${MARK}`]));
      assert.deepEqual(seen, [{ domain: Buffer.from("<domain/>"), vmi: Buffer.from("{}") }]);
    });

    test(`${version} OnDefineDomain takes fields in the other order, and none`, async () => {
      await call(own.path, onDefineDomain, message([2, "{}"], [1, "<domain/>"]));
      await call(own.path, onDefineDomain, EMPTY);
      assert.deepEqual(seen, [
        { domain: Buffer.from("<domain/>"), vmi: Buffer.from("{}") },
        { domain: EMPTY, vmi: EMPTY },
      ]);
    });

    test(`${version} OnDefineDomain takes and gives more than a flow control window`, async () => {
      const answer = await call(own.path, onDefineDomain, message([1, LARGE], [2, LARGE]));
      assert.deepEqual(answer, message([1, Buffer.concat([LARGE, Buffer.from(MARK)])]));
      assert.deepEqual(seen, [{ domain: LARGE, vmi: LARGE }]);
    });
  }

  for (const version of VERSIONS.slice(1)) {
    const method = callback(version, "PreCloudInitIso");
    const cases: readonly (readonly [string, Buffer, Buffer])[] = [
      ["text", Buffer.from('{"userData":"a"}'), Buffer.from('{"UserData":"ä"}')],
      ["octets of every value", OCTETS, Buffer.from(OCTETS).reverse()],
      ["only the old field", OCTETS, EMPTY],
      ["only the new field", EMPTY, OCTETS],
      ["more than a flow control window", LARGE, LARGE],
      ["nothing", EMPTY, EMPTY],
    ];
    for (const [name, old, current] of cases) {
      test(`${version} PreCloudInitIso gives back ${name}`, async () => {
        const parts: [number, Buffer][] = [
          [1, old],
          [3, current],
        ];
        const given = parts.filter(([, value]) => value.length > 0);
        const asked = message(...given.slice(0, 1), [2, "{}"], ...given.slice(1));
        assert.deepEqual(await call(own.path, method, asked), message(...given));
      });
    }
  }

  test("v1alpha3 Shutdown tells the hooks and answers with nothing", async () => {
    assert.deepEqual(await call(own.path, callback("v1alpha3", "Shutdown")), EMPTY);
    assert.equal(shutdowns, 1);
  });

  const absent: readonly (readonly [string, string])[] = [
    ["v1alpha1", "PreCloudInitIso"],
    ["v1alpha1", "Shutdown"],
    ["v1alpha2", "Shutdown"],
    ["v1alpha4", "OnDefineDomain"],
    ["v1alpha3", "onDefineDomain"],
  ];
  for (const [version, method] of absent) {
    test(`${version} has no ${method}`, async () => {
      const { code } = await refusal(own.path, callback(version, method));
      assert.equal(code, "UNIMPLEMENTED");
      assert.equal(shutdowns, 0);
    });
  }
});
