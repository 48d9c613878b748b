import { expect, test } from "vitest";
import { FlockerError } from "../../lib/errors.ts";
import { failureOf } from "./executor.ts";
import { heldRecord, TestAgent } from "./test-agent.ts";

test("what the host refuses is shown as the condition that it names, else by its code", () => {
  const details = { condition: "VOLUME_NOT_BLANK" };
  const named = failureOf(new FlockerError("BACKEND_REJECTED", "not blank", { details }));
  expect(named).toMatchObject({ condition: "VOLUME_NOT_BLANK", indefinite: false });
  const unknown = { details: { condition: "SOMETHING" } };
  expect(failureOf(new FlockerError("VOLUME_BUSY", "held", unknown)).condition).toBe("HELD");
  expect(failureOf(new TypeError("a bug"))).toMatchObject({
    code: null,
    condition: "BACKEND_UNAVAILABLE",
    indefinite: true,
  });

  const agent = new TestAgent();
  agent.connect([heldRecord]);
  agent.see("absent");
  const started = agent.effects.flatMap((one) => (one.kind === "execute" ? [one.action] : []));
  const [action = expect.unreachable()] = started;
  agent.step({ kind: "executed", action, outcome: named });
  expect(agent.core.state.local(heldRecord.datasetId).condition?.code).toBe("VOLUME_NOT_BLANK");
});
