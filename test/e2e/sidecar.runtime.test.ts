/**
 * The sidecar with its data plane, as a program in a pod: guests on every link come and go, plans
 * change, the end comes in every way. Guests are made of packets (`test/support/stream-guest.ts`);
 * real machines are in `libvirt-guest.test.ts`, faults in `sidecar-faults.test.ts`, starts
 * and ends in numbers in `sidecar-cycles.test.ts`.
 */
import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { udpEcho } from "../support/e2e/peers.ts";
import { cannotRun } from "../support/e2e/setup.ts";
import { endAll, until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS } from "../support/e2e/world.ts";
import { call, callback } from "../support/hook-client.ts";
import { LOOPBACK_PORT, type Pod, withPod } from "../support/pod.ts";

const LIMIT = { timeout: 120_000 };
const GATEWAY = "10.0.2.2";

describe("sidecar: guests", { skip: cannotRun() }, () => {
  after(endAll);

  test("two interfaces, each with a network of its own", LIMIT, () =>
    withPod({}, async (pod) => {
      const ports = (port: number) => ({ ports: [{ port, protocol: "UDP" }] });
      await pod.define({ link: "stream", interfaces: [ports(5001), ports(5002)] });
      for (const index of [0, 1]) assert.equal(statSync(pod.socket(index)).mode & 0o777, 0o660);
      assert.equal(statSync(join(pod.folder, "userdata")).mode & 0o777, 0o770);
      const guests = [await pod.onlineGuest(0), await pod.onlineGuest(1)];
      for (const [at, guest] of guests.entries()) {
        const port = 5001 + at;
        guest.serveEcho(port);
        const report = await udpEcho(pod.host, HOST_ADDRESS, port, [100, 1000]);
        assert.equal(report.ok, 2, JSON.stringify(report));
      }
      await pod.shutdown();
      await pod.ended();
    }),
  );

  test("equal plans keep the connection, another one is for when the guests have gone", LIMIT, () =>
    withPod({}, async (pod) => {
      const plain = { link: "stream", interfaces: [{}, {}] } as const;
      const answer = await pod.define(plain);
      const [first, second] = [await pod.onlineGuest(0), await pod.onlineGuest(1)];
      await pod.define(plain);
      await pod.define(plain, answer);
      const ports = [{ port: 5003, protocol: "UDP" }];
      const changed = { link: "stream", interfaces: [{ ports }, {}] } as const;
      const fewer = { link: "stream", interfaces: [{ ports }] } as const;
      for (const other of [changed, fewer]) {
        const { code, text } = await pod.refuses(other);
        assert.equal(code, "FAILED_PRECONDITION");
        assert.match(
          text,
          /^iface ".*" cannot be (?:changed|taken away) while a guest is attached/,
        );
      }
      await call(pod.serve.path, callback("v1alpha3", "Shutdown"));
      await pod.logged("Shutdown called while a guest is attached");
      await first.echo(pod.target, "still here");
      await second.echo(pod.target, "here as well");
      assert.equal(pod.count("guest disconnected"), 0);
      first.close();
      second.close();
      await pod.ended();
    }),
  );

  test("a changed plan ends a network without a guest, and no other", LIMIT, () =>
    withPod({}, async (pod) => {
      await pod.define({ link: "stream", interfaces: [{}, {}] });
      const ports = [{ port: 5003, protocol: "UDP" }];
      await pod.define({ link: "stream", interfaces: [{ ports }, {}] });
      assert.equal(pod.count("settings have changed, restarting"), 1);
      await pod.define({ link: "stream", interfaces: [{ ports }] });
      assert.equal(existsSync(pod.socket(1)), false);
      const guest = await pod.onlineGuest(0);
      await guest.echo(pod.target, "as planned last");
      await pod.shutdown();
      await pod.ended();
    }),
  );

  test("a peer goes, in the middle of a frame too, and the next one is served", LIMIT, () =>
    withPod({}, async (pod) => {
      await pod.define({ link: "stream" });
      const first = await pod.onlineGuest();
      const second = await pod.guest();
      await until(() => second.hasEnded, "the second of two guests to be refused");
      first.sendHalf();
      first.close();
      await pod.logged("guest disconnected");
      await pod.onlineGuest();
      assert.equal(pod.count("guest connected"), 2);
      await pod.shutdown();
      await pod.ended();
    }),
  );

  test("the pod's own addresses are out of reach but for published ports", LIMIT, () =>
    withPod({ env: { SLIRP_HOST_ADDRESS: "" } }, async (pod) => {
      const ports = [{ port: 5004, protocol: "UDP" }];
      await pod.define({ link: "stream", interfaces: [{ ports }] });
      const guest = await pod.guest();
      await guest.lease();
      for (const address of [HOST_ADDRESS, "169.254.169.254", "169.254.1.1"]) {
        assert.match(await guest.knock({ address, port: pod.target.port }), /^RA?$/, address);
      }
      await assert.rejects(guest.echo(pod.target, "not answered"));
      guest.serveEcho(5004);
      await guest.echo({ address: HOST_ADDRESS, port: 5004 }, "by way of the pod's own address");
      const report = await udpEcho(pod.host, HOST_ADDRESS, 5004, [100]);
      assert.equal(report.ok, 1, JSON.stringify(report));
      await pod.shutdown();
      await pod.ended();
    }),
  );

  test("link client: a loopback port that only QEMU reaches", LIMIT, () =>
    withPod({}, async (pod) => {
      const answer = await pod.define({ link: "client" });
      assert.match(answer, new RegExp(`<source address="127.0.0.1" port="${LOOPBACK_PORT}"/>`));
      const listening = await pod.host.run(["ss", "-Hltn", `sport = :${LOOPBACK_PORT}`]);
      assert.match(listening.stdout, / 127\.0\.0\.1:28500 /);
      const guest = await pod.clientGuest();
      await guest.lease();
      await guest.echo(pod.target, "by way of a port");
      for (const address of [GATEWAY, "127.0.0.1", HOST_ADDRESS]) {
        const answered = await guest.knock({ address, port: LOOPBACK_PORT });
        assert.match(answered, /^(?:RA?|icmp|)$/, `${address}: ${answered}`);
      }
      assert.equal(pod.count("refused a second connection"), 0);
      await pod.shutdown();
      await pod.ended();
    }),
  );
});

describe("sidecar: the end while a guest is attached", { skip: cannotRun() }, () => {
  after(endAll);

  /** SIGTERM, which must change nothing for the guest. */
  async function terminated(pod: Pod, work: (close: () => void) => Promise<void>): Promise<void> {
    await pod.define({ link: "stream" });
    const guest = await pod.onlineGuest();
    pod.serve.running.signal("SIGTERM");
    await pod.logged("SIGTERM received");
    await guest.echo(pod.target, "powering off");
    await work(() => guest.close());
    await pod.ended();
  }

  test("SIGTERM, and Shutdown comes", LIMIT, () =>
    withPod({}, async (pod) => {
      await terminated(pod, async (close) => {
        await call(pod.serve.path, callback("v1alpha3", "Shutdown"));
        close();
      });
      assert.equal(pod.count("Shutdown called while a guest is attached"), 1);
      assert.equal(pod.count("shutting down reason="), 1);
    }),
  );

  test("SIGTERM, and the guest goes", LIMIT, () =>
    withPod({}, async (pod) => {
      await terminated(pod, async (close) => close());
      assert.equal(pod.count('shutting down reason="SIGTERM, no guest attached"'), 1);
    }),
  );

  test("SIGTERM, and the grace time is over", LIMIT, () =>
    withPod({ args: ["--grace", "3"] }, async (pod) => {
      await terminated(pod, async () => {});
      assert.equal(pod.count('shutting down reason="SIGTERM, grace time over"'), 1);
    }),
  );

  test("SIGTERM twice", LIMIT, () =>
    withPod({}, async (pod) => {
      await terminated(pod, async () => void pod.serve.running.signal("SIGTERM"));
      assert.equal(pod.count('shutting down reason="second SIGTERM"'), 1);
    }),
  );

  test("a kill leaves sockets, and the next start takes them over", LIMIT, () =>
    withPod({}, async (pod) => {
      await pod.define({ link: "stream" });
      const guest = await pod.onlineGuest();
      pod.serve.running.signal("SIGKILL");
      await until(() => guest.hasEnded, "the guest to notice");
      await pod.serve.running.outcome();
      assert.ok(existsSync(pod.socket()));
      await pod.start();
      await pod.define({ link: "stream" });
      await pod.onlineGuest();
      await pod.shutdown();
      await pod.ended();
    }),
  );
});
