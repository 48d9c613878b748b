import { recordStep } from "../../domain/record-step.ts";
import type { ControlFlaws, ControlProcess } from "../world/control-process.ts";
import type { Connection, ToControl } from "../world/network.ts";

type Message = Exclude<ToControl, { readonly kind: "ping" }>;

/** What comes over a connection that was replaced counts as the node's present word. */
function anySession(kinds: readonly string[] | null): ControlFlaws {
  return {
    hearsClosed: true,
    receive: (process: ControlProcess, connection: Connection, message: Message) => {
      const { state } = process.core;
      const node = process.nodeOf.get(connection.id);
      const current = node === undefined ? undefined : state.currentOf.get(node);
      const counts = kinds === null || kinds.includes(kindOf(message));
      const as = message.kind !== "hello" && counts ? (current ?? connection.id) : connection.id;
      process.run((core) => core.receive(as, message, process.nowMs));
    },
  };
}

function kindOf(message: Message): string {
  return message.kind === "report" ? message.report.kind : message.kind;
}

export const oldSessionReleases = anySession(["released", "release_begun", "declined"]);
export const noSessionCheck = anySession(null);

/** The generation of a message is not compared with the claim's. */
export const noGenerationCheck: ControlFlaws = {
  step: (record, event) =>
    "generation" in event && "by" in event && record.claim !== null
      ? recordStep(record, { ...event, generation: record.claim.generation })
      : recordStep(record, event),
};
