import type { ContainerAction, EngineEvent } from "./engine.ts";

const lineBytesMax = 1 << 20;
const actions: readonly ContainerAction[] = ["create", "start", "die", "destroy"];

/** Takes the engine's stream of events apart: one JSON object a line, cut anywhere. */
export class EventLines {
  #rest = "";

  /** The events that `chunk` completes. Throws when this cannot be a stream of events. */
  push(chunk: string): readonly EngineEvent[] {
    const lines = `${this.#rest}${chunk}`.split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > lineBytesMax) throw new Error("an event has over 1 MiB");
    return lines.filter((line) => line.trim() !== "").flatMap((line) => eventOf(JSON.parse(line)));
  }
}

/** At most one; none for what is not of a container or not of interest. */
function eventOf(message: unknown): readonly EngineEvent[] {
  const { Type: type, Action: said, Actor: actor } = fieldsOf(message);
  const { ID: id, Attributes: attributes } = fieldsOf(actor);
  if (type === "volume" && (said === "create" || said === "destroy")) return [{ kind: "volume" }];
  const action = actions.find((one) => one === said);
  if (type !== "container" || action === undefined || typeof id !== "string") return [];
  const { name } = fieldsOf(attributes);
  return [{ kind: "container", action, id, name: typeof name === "string" ? name : "" }];
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
