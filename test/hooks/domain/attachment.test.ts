/** Which link an interface gets and why, and where its other end is. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { error, plan, plans, type Wish } from "../../support/hook-plan.ts";

const link = (wish: Wish): unknown => plan(wish).attachment;
const annotated = (value: string): Wish => ({
  metadata: { annotations: { "slirp.network.kubevirt.io/link": value } },
});
const MIB = 1 << 20;
const CLIENT = { kind: "client", port: 28500 };
const VHOST_USER = {
  kind: "vhost-user",
  path: "/var/run/kubevirt-hooks/hook-sidecar-0/userdata/vhost-user-0.sock",
  file: "vhost-user-0.sock",
};

describe("what is asked for", () => {
  test("by environment and annotation, which comes first", () => {
    assert.deepEqual(link({ env: { SLIRP_LINK: "user" } }), { kind: "user" });
    assert.deepEqual(link({ env: { SLIRP_LINK: "client" } }), CLIENT);
    const both = { ...annotated("user"), env: { SLIRP_LINK: "stream" } };
    assert.deepEqual(link(both), { kind: "user" });
    assert.equal(plan(both).linkReason, "asked for by annotation");
    assert.equal(plan({ env: { SLIRP_LINK: "stream" } }).linkReason, "asked for");
    assert.deepEqual(link({ ...annotated("auto"), env: { SLIRP_LINK: "user" } }), VHOST_USER);
    assert.deepEqual(link({ ...annotated(""), env: { SLIRP_LINK: "user" } }), { kind: "user" });
  });

  test("a wrong annotation is refused, and every one where none is allowed", () => {
    assert.equal(
      error(annotated("tap")),
      'annotation "slirp.network.kubevirt.io/link" "tap": ' +
        'wanted one of "auto", "client", "stream", "vhost-user", "user"',
    );
    assert.equal(
      error({ ...annotated("user"), env: { SLIRP_ALLOW_ANNOTATIONS: "0" } }),
      'annotation "slirp.network.kubevirt.io/link" is not allowed here',
    );
  });

  const refused: readonly (readonly [string, Wish, string])[] = [
    [
      "vhost-user",
      { iface: { model: "e1000" } },
      'iface "net": model "e1000": link "vhost-user" needs "virtio"',
    ],
    [
      "vhost-user",
      { memory: { obstacle: 'memory access "private": wanted "shared"' } },
      'iface "net": link "vhost-user": memory access "private": wanted "shared"',
    ],
    [
      "stream",
      { iface: { state: "down" } },
      'iface "net": state "down" is not possible with link "stream"',
    ],
    [
      "user",
      { iface: { state: "down" } },
      'iface "net": state "down" is not possible with link "user"',
    ],
    [
      "user",
      { iface: { dhcpOptions: { ntpServers: ["1.2.3.4"] } } },
      'iface "net": dhcpOptions "ntpServers" are not possible with link "user"',
    ],
    [
      "user",
      { iface: { dhcpOptions: { privateOptions: [{ option: 224, value: "x" }] } } },
      'iface "net": dhcpOptions "privateOptions" are not possible with link "user"',
    ],
  ];
  for (const [kind, wish, message] of refused) {
    test(message, () => assert.equal(error({ ...wish, env: { SLIRP_LINK: kind } }), message));
  }
});

describe("auto", () => {
  const reasonOf = (wish: Wish): readonly [string, string] => {
    const { attachment, linkReason } = plan(wish);
    return [attachment.kind, linkReason];
  };
  const cards = (...bindings: readonly object[]): Wish => ({
    spec: {
      domain: {
        devices: { interfaces: bindings.map((each, at) => ({ name: `n${at}`, ...each })) },
      },
      networks: bindings.map((_, at) => ({ name: `n${at}`, pod: {} })),
    },
  });
  const slirp = { binding: { name: "slirp" } };
  const twoNames = cards(slirp, { binding: { name: "other" } });

  test("is vhost-user where nothing stands against it", () => {
    const chosen = ["vhost-user", "virtio card, memory can be shared"];
    assert.deepEqual(reasonOf({}), chosen);
    assert.deepEqual(reasonOf({ iface: { model: "virtio", state: "up" } }), chosen);
    const domain = {
      devices: { useVirtioTransitional: true, interfaces: [{ name: "net", ...slirp }] },
    };
    assert.deepEqual(reasonOf({ spec: { domain } }), chosen);
    assert.deepEqual(reasonOf(cards(slirp, slirp, { slirp: {} }, { masquerade: {} })), chosen);
    assert.deepEqual(reasonOf({ ...twoNames, env: { CONTAINER_NAME: "" } }), chosen);
    assert.deepEqual(plan({}).warnings, []);
  });

  const client: readonly (readonly [string, Wish])[] = [
    ['model "e1000": link "vhost-user" needs "virtio"', { iface: { model: "e1000" } }],
    ['state "down" could not be changed', { iface: { state: "down" } }],
    ["memory is encrypted", { memory: { obstacle: "memory is encrypted" } }],
    ["several network bindings: the socket's path may differ in other pods", twoNames],
    [
      "memory limit of 64 MiB: some 130 MiB of the guest's may count as ours",
      { memoryLimit: 64 * MIB },
    ],
    ["no folder for the sockets of other links", { autoLink: "client" }],
  ];
  for (const [reason, wish] of client) {
    test(`is client: ${reason}`, () => assert.deepEqual(reasonOf(wish), ["client", reason]));
  }

  test("is client where the socket's path is too long", () => {
    const [kind, reason] = reasonOf({ env: { CONTAINER_NAME: "n".repeat(63) } });
    assert.equal(kind, "client");
    assert.match(reason, /^socket path ".*\/vhost-user-0\.sock" is too long$/);
  });

  test("is user where nobody carries frames", () => {
    assert.deepEqual(reasonOf({ autoLink: "user" }), ["user", "no data plane here"]);
  });

  test("is chosen for each card of a machine", () => {
    const spec = {
      domain: {
        devices: {
          interfaces: [
            { name: "a", ...slirp, model: "e1000" },
            { name: "b", ...slirp },
          ],
        },
      },
      networks: ["a", "b"].map((name) => ({ name, pod: {} })),
    };
    assert.deepEqual(
      plans({ spec }).map(({ attachment }) => attachment),
      [
        CLIENT,
        {
          kind: "vhost-user",
          path: VHOST_USER.path.replace("-0.s", "-1.s"),
          file: "vhost-user-1.sock",
        },
      ],
    );
  });
});

describe("a memory limit", () => {
  const kindOf = (limit_mib: number, memory: Wish["memory"] = {}): string =>
    plan({ memoryLimit: limit_mib * MIB, memory: { size: 1024 * MIB, ...memory } }).attachment.kind;

  test("has to hold an eighth of the guest's memory, page tables and our own need", () => {
    assert.equal(kindOf(128 + 2 + 64), "vhost-user");
    assert.equal(kindOf(128 + 2 + 63), "client");
  });

  test("only has to hold page tables where QEMU has touched all of it", () => {
    assert.equal(kindOf(2 + 64, { isPreallocated: true }), "vhost-user");
    assert.equal(kindOf(2 + 63, { isPreallocated: true }), "client");
  });

  test("does not matter to huge pages", () => {
    assert.equal(kindOf(16, { isPreallocated: true, isHuge: true }), "vhost-user");
  });

  test("is a warning where the link is asked for", () => {
    const env = { SLIRP_LINK: "vhost-user" };
    const { attachment, warnings } = plan({ env, memoryLimit: 64 * MIB });
    assert.equal(attachment.kind, "vhost-user");
    assert.deepEqual(warnings, [
      'iface "net": link "vhost-user": memory limit of 64 MiB: ' +
        "some 130 MiB of the guest's may count as ours",
    ]);
    assert.deepEqual(plan({ env: { SLIRP_LINK: "client" }, memoryLimit: 64 * MIB }).warnings, []);
  });
});

describe("paths", () => {
  test("are the compute container's, of either release, and never too long", () => {
    const env = { SLIRP_LINK: "stream" };
    const file = "stream-0.sock";
    assert.deepEqual(link({ env }), {
      kind: "stream",
      path: `/var/run/kubevirt-hooks/hook-sidecar-0/userdata/${file}`,
      file,
    });
    assert.deepEqual(link({ env: { ...env, CONTAINER_NAME: "" } }), {
      kind: "stream",
      path: `/var/run/kubevirt-hooks/userdata/${file}`,
      file,
    });
    assert.match(
      error({ env: { SLIRP_LINK: "vhost-user", CONTAINER_NAME: "n".repeat(63) } }),
      /^iface "net": link "vhost-user": socket path ".*\.sock" is longer than 107 octets$/,
    );
  });
});
