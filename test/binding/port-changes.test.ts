/** What a network begins again with, after ports came and went. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PortChanges } from "../../src/binding/port-changes.ts";
import { formatRule, parsePublish } from "../../src/config/publish-rule.ts";
import { parsePublished } from "../../src/config/published-ports.ts";
import { network } from "../support/networks-stage.ts";

function stage(...rules: string[]) {
  const { options } = network("a");
  const publish = { rules: rules.map(parsePublish), needsEveryPort: false };
  const changes = new PortChanges(publish.rules);
  const left = () => {
    const { publish: after } = changes.applyTo({ ...options, publish });
    return [after.rules.map(formatRule), (after.added ?? []).map(formatRule)];
  };
  return { changes, left, options: { ...options, publish } };
}

describe("port changes", () => {
  test("without any the options are those of the start", () => {
    const { changes, options } = stage("80:80");
    assert.equal(changes.applyTo(options), options);
  });

  test("what was added is, what was removed is not, whichever it was", () => {
    const { changes, left } = stage("80:80", "8000-8009:80");
    changes.add(parsePublish("81:81"));
    changes.add(parsePublish("53:53/udp"));
    changes.remove(parsePublished("80"));
    changes.remove(parsePublished("81"));
    assert.deepEqual(left(), [["8000-8009:80"], ["53:53/udp"]]);
    changes.add(parsePublish("80:8080"));
    assert.deepEqual(left(), [["8000-8009:80"], ["53:53/udp", "80:8080"]]);
  });

  test("a rule of which some ports were left out is removed with them", () => {
    const { changes, left } = stage("8000-8009:80");
    changes.remove(parsePublished("8000-8009"));
    assert.deepEqual(left(), [[], []]);
    const other = stage("8000-8009:80");
    other.changes.remove(parsePublished("8004-8009"));
    assert.deepEqual(other.left(), [["8000-8003:80"], []]);
  });
});
