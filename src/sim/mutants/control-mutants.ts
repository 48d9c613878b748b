import type { NodeId } from "../../domain/ids.ts";
import { recordStep } from "../../domain/record-step.ts";
import type { Hello } from "../../protocol/agent-messages.ts";
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

/** Whoever is silent for half a minute is believed to be dead. */
export const timerGrants: ControlFlaws = {
  started: (process) => {
    const silentSince = new Map<NodeId, number>();
    process.strand.every(1_000, () => {
      for (const node of process.core.state.nodes.keys()) {
        if (process.core.state.sessionOf(node) !== null) silentSince.delete(node);
        else silentSince.set(node, silentSince.get(node) ?? process.nowMs);
        if (process.nowMs < (silentSince.get(node) ?? Infinity) + 30_000) continue;
        silentSince.delete(node);
        process.run((core) => core.declareDead(node, false, process.nowMs));
      }
    });
  },
};

/** What an agent says in its hello is not looked at before it is believed. */
function helloWith(change: (hello: Hello) => Hello): ControlFlaws {
  return {
    receive: (process, connection, message) =>
      void process.run((core) =>
        core.receive(
          connection.id,
          message.kind === "hello" ? change(message) : message,
          process.nowMs,
        ),
      ),
  };
}

/** Whoever speaks for a node is that node, started again. */
export const clonesAreReboots: ControlFlaws = {
  receive: (process, connection, message) => {
    const { state } = process.core;
    const heard = message.kind === "hello" ? asTheNode(state, message) : message;
    process.run((core) => core.receive(connection.id, heard, process.nowMs));
  },
};

function asTheNode(state: ControlProcess["core"]["state"], hello: Hello): Hello {
  const fingerprint = state.nodes.get(hello.node)?.fingerprint ?? hello.fingerprint;
  const instance = state.sessionOf(hello.node)?.instance ?? hello.instance;
  return { ...hello, fingerprint, instance };
}

/** Terms are compared, not who began them. */
export const anyInstance: ControlFlaws = {
  receive: (process, connection, message) => {
    const { starts } = process.core.state;
    const seen = message.kind === "hello" ? message.seen : null;
    const own = starts.find(({ term }) => term === seen?.term);
    const same = message.kind === "hello" && seen !== null && own !== undefined;
    const heard = same ? { ...message, seen: { ...seen, instance: own.instance } } : message;
    process.run((core) => core.receive(connection.id, heard, process.nowMs));
  },
};

export const neverBehind = helloWith((hello) => ({ ...hello, seen: null }));
export const allAgain = helloWith((hello) => ({ ...hello, recordsDigest: "" }));

/** An op whose executor has gone stays its own. */
export const opsStay: ControlFlaws = {
  step: (record, event) =>
    event.kind === "op_vanished"
      ? { kind: "refused", reason: "already" }
      : recordStep(record, event),
};

/** The generation of a message is not compared with the claim's. */
export const noGenerationCheck: ControlFlaws = {
  step: (record, event) =>
    "generation" in event && "by" in event && record.claim !== null
      ? recordStep(record, { ...event, generation: record.claim.generation })
      : recordStep(record, event),
};
