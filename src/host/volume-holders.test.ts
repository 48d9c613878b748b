import { expect, test } from "vitest";
import { containerOf } from "./volume-holders.ts";

const id = "0123456789abcdef".repeat(4);

test("a container's id is found in the cgroup names of all engines", () => {
  expect(containerOf(`12:cpu:/docker/${id}\n11:memory:/docker/${id}\n`)).toBe(id);
  expect(containerOf(`0::/system.slice/docker-${id}.scope\n`)).toBe(id);
  expect(containerOf(`0::/machine.slice/libpod-${id}.scope/container\n`)).toBe(id);
});

test("a process outside of containers has none", () => {
  expect(containerOf("0::/user.slice/user-0.slice/session-1.scope\n")).toBeNull();
  expect(containerOf(`0::/x${id}\n`)).toBeNull();
  expect(containerOf("")).toBeNull();
});
