/** The data plane without a data plane: QEMU's own networking, and nothing else. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startQemuDataPlane } from "../../src/hooks/data-plane.ts";
import { HookError } from "../../src/hooks/domain/errors.ts";
import { plansOf } from "../support/hook-fixtures.ts";
import { LINK_KINDS } from "../support/hook-plan.ts";

describe("QEMU's own networking", () => {
  const plane = startQemuDataPlane();

  test("is what auto stands for, and is ready at once", async () => {
    assert.equal(plane.autoLink, "user");
    await plane.prepare(plansOf("a-user-guide", "user"));
    await plane.prepare(plansOf("a-user-guide", "user"));
    await plane.prepare([]);
  });

  for (const kind of LINK_KINDS.filter((each) => each !== "user")) {
    test(`refuses the link ${kind}`, async () => {
      const plans = plansOf("k-model-virtio", kind);
      await assert.rejects(plane.prepare(plans), (error: HookError) => {
        assert.ok(error instanceof HookError);
        assert.equal(error.code, "failed-precondition");
        const { interfaceName } = plans[0] ?? assert.fail("no plan");
        assert.equal(
          error.message,
          `iface "${interfaceName}": link "${kind}" is not available here, choose "auto"`,
        );
        return true;
      });
    });
  }

  test("has no guest, and ends twice", async () => {
    await plane.idle();
    await plane.close();
    await plane.close();
  });
});
