import { expect, it } from "vitest";
import { EventLines } from "./event-lines.ts";

function line(type: string, action: string, id = "a1"): string {
  const message = { Type: type, Action: action, Actor: { ID: id, Attributes: { name: "db" } } };
  return `${JSON.stringify(message)}\n`;
}

const started = { kind: "container", action: "start", id: "a1", name: "db" };

it("an event is told once its line is complete, wherever the stream was cut", () => {
  const lines = new EventLines();
  const text = line("container", "start");
  const told = Array.from(text).map((character) => lines.push(character));
  expect(told.slice(0, -1).flat()).toEqual([]);
  expect(told.at(-1)).toEqual([started]);
});

it("what is of neither container nor volume, or not of interest, is left out", () => {
  const text = [
    line("network", "create"),
    line("container", "exec_create: sh"),
    "\n",
    '{"Type":"container","Action":"die"}\n',
    "[]\n",
    line("container", "start"),
  ];
  expect(new EventLines().push(text.join(""))).toEqual([started]);
});

it("a volume that is made or removed is told, one that is mounted is not", () => {
  const text = ["create", "mount", "destroy"].map((action) => line("volume", action)).join("");
  expect(new EventLines().push(text)).toEqual([{ kind: "volume" }, { kind: "volume" }]);
});

it("something else than events is an error", () => {
  expect(() => new EventLines().push("<html>\n")).toThrow(/JSON/);
  expect(() => new EventLines().push("x".repeat(1_100_000))).toThrow(/1 MiB/);
});
