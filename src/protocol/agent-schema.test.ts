import { describe, expect, test } from "vitest";
import { parseAgentMessage, parseControlMessage } from "./agent-schema.ts";

const id = "0f8fad5b-d9cb-469f-a165-70867728950e";

describe("messages at the border", () => {
  test("members that are not known are ignored", () => {
    const message = parseAgentMessage(`{"kind":"ack","revision":3,"colour":"blue"}`);
    expect(message).toMatchObject({ kind: "ack", revision: 3 });
  });

  test.each([
    ["no JSON", "{", "not JSON"],
    ["no object", "7", "without a kind"],
    ["no kind", "{}", "without a kind"],
    ["an unknown kind", `{"kind":"steal"}`, "unknown kind steal"],
    ["a kind of the object prototype", `{"kind":"constructor"}`, "unknown kind constructor"],
    ["a kind of the other side", `{"kind":"welcome"}`, "unknown kind welcome"],
    ["a missing member", `{"kind":"ack"}`, "of kind ack is not valid"],
    ["a wrong type", `{"kind":"ack","revision":"3"}`, "/revision"],
    ["a number that is no integer", `{"kind":"ack","revision":1.5}`, "/revision"],
    ["infinity", `{"kind":"ack","revision":1e999}`, "/revision"],
    ["an id in upper case", `{"kind":"wish_ended","datasetId":"${id.toUpperCase()}"}`, "datasetId"],
    ["a wish for ever", `{"kind":"wish","datasetId":"${id}","remainingMs":1e12,"ageMs":0}`, "Ms"],
    ["a report of no kind", `{"kind":"report","datasetId":"${id}","report":{}}`, "report"],
  ])("%s is refused with a sentence", (_, json, says) => {
    expect(() => parseAgentMessage(json)).toThrow(says);
  });

  test("the control service's messages are checked as well", () => {
    expect(parseControlMessage(`{"kind":"refused","code":"X","message":"y"}`).kind).toBe("refused");
    expect(() => parseControlMessage(`{"kind":"records","revision":1}`)).toThrow("records");
  });
});
