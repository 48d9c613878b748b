import { timings } from "../../agent/core/timings.ts";
import type { AgentEffect, AgentEvent } from "../../agent/core/effects.ts";
import type { DatasetId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import type { Volume } from "../../domain/volume.ts";
import { act } from "../../planner/decision.ts";
import { decideAttachable } from "../../planner/attachable-table.ts";
import type { AgentFlaws, AgentProcess } from "../world/agent-process.ts";
import { ModelDriver } from "../world/model-driver.ts";

/** What exists is created when it is not seen; what is seen is taken for what exists. */
export const absentCreates: AgentFlaws = {
  record: (record) =>
    record?.volume.kind === "exists"
      ? { ...record, volume: { kind: "creating", op: record.lineage } }
      : record,
  decide: (want, see) => {
    if (want.kind !== "use" || want.record.volume.kind !== "exists") {
      return decideAttachable(want, see);
    }
    const { record, claim } = want;
    if (see.kind === "absent") {
      const { datasetId, pool, lineage: op, sizeBytes } = record;
      const { generation } = claim;
      return act({ kind: "create_volume", datasetId, pool, generation, op, sizeBytes });
    }
    const formatted: DatasetRecord["formatted"] =
      see.kind === "blank" || see.kind === "partial" ? "no" : record.formatted;
    return decideAttachable({ ...want, record: { ...record, formatted } }, see);
  },
};

/** A create has no token: asked twice it makes two; the younger is taken for the dataset's. */
class TokenlessDriver extends ModelDriver {
  override create(asked: Parameters<ModelDriver["create"]>[0]): ReturnType<ModelDriver["create"]> {
    return this.make(asked, null);
  }

  override async find(dataset: DatasetId): Promise<readonly Volume[]> {
    return (await super.find(dataset)).slice(-1);
  }
}

export const createsTwice: AgentFlaws = {
  driver: (machine, around) => new TokenlessDriver(machine, around),
  record: (record) =>
    record === null ? null : { ...record, volume: { kind: "creating", op: record.lineage } },
  decide: (want, see) => {
    if (want.kind !== "use" || !("volume" in see)) return decideAttachable(want, see);
    const { ref, sizeBytes } = see.volume;
    const formatted: DatasetRecord["formatted"] =
      see.kind === "blank" || see.kind === "partial" ? "no" : want.record.formatted;
    const volume: DatasetRecord["volume"] =
      want.record.volume.kind === "exists"
        ? { kind: "exists", ref, sizeBytes }
        : want.record.volume;
    return decideAttachable({ ...want, record: { ...want.record, volume, formatted } }, see);
  },
};

export const noUserHold: AgentFlaws = {
  timings: { ...timings, userHoldMs: 0, userMissMs: 0, userStartMs: 0 },
};

/** The list of names is behind what was acknowledged, and a negative comes from it. */
export function laggingNames(): AgentFlaws {
  return {
    event: (event) =>
      event.kind === "received" && event.message.kind === "names"
        ? { ...event, message: { ...event.message, entries: [] } }
        : event,
    effect: (effect, agent) => {
      if (effect.kind !== "send" || effect.message.kind !== "request") return effect;
      const { id, request } = effect.message;
      if (request.kind !== "lookup") return effect;
      agent.strand.after(1, () =>
        agent.step({
          kind: "received",
          message: { kind: "answer", id, answer: { kind: "ok", entry: null, notice: null } },
        }),
      );
      return null;
    },
  };
}

/** Without a connection every name is denied, as if nobody had told it. */
export const deniesCutOff: AgentFlaws = {
  event: (event, agent) => {
    if (event.kind !== "called" || event.call.kind !== "get") return event;
    if (agent.core.state.link !== null) return event;
    agent.around.answered(event.callId, { kind: "error", message: "There is no such volume." });
    return null;
  },
};

/** A Mount's wish outlives it, and what it won is not given back. */
export const oldWishes: AgentFlaws = {
  timings: { ...timings, lingerMs: 0 },
  effect: (effect) => {
    if (effect.kind !== "send") return effect;
    const { message } = effect;
    if (message.kind === "wish_ended" || message.kind === "declined") return null;
    return message.kind === "wish"
      ? { kind: "send", message: { ...message, remainingMs: 10_000_000 } }
      : effect;
  },
};

/** Every other generation's release is lost on its way, and not said again. */
export const releaseOnce: AgentFlaws = {
  effect: (effect: AgentEffect) =>
    effect.kind === "send" &&
    effect.message.kind === "report" &&
    effect.message.report.kind === "released" &&
    effect.message.report.generation % 2 === 0
      ? null
      : effect,
};

const nothing = (): void => {};

/** A restarted agent begins by taking down what it finds. */
export const remountsAtStart: AgentFlaws = {
  started: (agent: AgentProcess) => {
    const { host, machine } = agent;
    const found = host.mountedNow();
    if (found.length === 0) return;
    const takeDown = async (): Promise<void> => {
      for (const dataset of found) {
        await host.hide(dataset);
        await host.unmountVolume(dataset);
      }
    };
    machine.context.turns.start(takeDown, nothing, nothing);
  },
};

/** No request of an earlier time is ever waited for. */
export const nothingIsLate: AgentFlaws = {
  operationMsMax: 0,
  event: (event: AgentEvent) =>
    event.kind === "executed" && event.outcome.kind === "failed"
      ? { ...event, outcome: { ...event.outcome, indefinite: false } }
      : event,
};
