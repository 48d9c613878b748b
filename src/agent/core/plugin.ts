import { assert, unreachable } from "../../lib/assert.ts";
import type { DatasetId } from "../../domain/ids.ts";
import { anonymousName } from "../../domain/record.ts";
import type { Answer, CreateOptions, Request } from "../../protocol/agent-messages.ts";
import type { AgentState, PendingRequest } from "./agent-state.ts";
import { evidentUsers } from "./containers.ts";
import { kick } from "./dataset-loop.ts";
import { abandonMount, mount, unmount, why } from "./mounts.ts";
import {
  type PluginAnswer,
  type PluginCall,
  pluginErrors,
  type PluginVolume,
} from "./plugin-call.ts";

const { notFound, notAvailable } = pluginErrors;

/** A call of the engine. Known names are answered from memory, with or without a session. */
export function called(state: AgentState, callId: number, call: PluginCall, nowMs: number): void {
  const answer = (what: PluginAnswer): void => state.emit({ kind: "answer", callId, answer: what });
  switch (call.kind) {
    case "list":
      return answer({
        kind: "volumes",
        volumes: [...state.names.keys()].sort().map((name) => listed(state, name)),
      });
    case "unmount": {
      const id = userOf(state, call);
      if (id !== null) unmount(state, state.local(id), call.id, nowMs);
      return answer({ kind: "ok" });
    }
    case "get":
    case "path":
    case "mount":
      return byName(state, callId, call, nowMs);
    case "create":
      return create(state, callId, call, nowMs);
    case "remove": {
      const id = state.names.get(call.name);
      const users = id === undefined ? 0 : evidentUsers(state, state.local(id), nowMs);
      if (users > 0) {
        const message = `Volume ${call.name} is in use on this node by ${users} mount(s).`;
        return answer({ kind: "error", message });
      }
      const request = { kind: "remove", name: call.name, datasetId: id ?? null } as const;
      return ask(state, { callId, next: "remove", request, mountId: "" }, nowMs);
    }
    default:
      return unreachable(call);
  }
}

/**
 * Whose user an Unmount ends: the name may be another dataset's by now, deleted and created again
 * while a container still had the old one. The engine invents a new id for each of its mounts.
 */
function userOf(
  state: AgentState,
  { name, id }: Extract<PluginCall, { readonly kind: "unmount" }>,
): DatasetId | null {
  const named = state.names.get(name) ?? null;
  if (named !== null && state.local(named).users.has(id)) return named;
  return [...state.datasets.values()].find(({ users }) => users.has(id))?.datasetId ?? named;
}

type NamedCall = Extract<PluginCall, { readonly kind: "get" | "path" | "mount" }>;

function byName(state: AgentState, callId: number, call: NamedCall, nowMs: number): void {
  const known = state.names.get(call.name);
  const mountId = call.kind === "mount" ? call.id : "";
  if (known !== undefined) {
    proceed(state, { callId, next: call.kind, name: call.name, mountId }, known, nowMs);
    return;
  }
  const answer = (what: PluginAnswer): void => state.emit({ kind: "answer", callId, answer: what });
  // The engine invents such names for anonymous volumes; those of this node are known.
  if (anonymousName.test(call.name)) return answer({ kind: "error", message: notFound });
  if (state.link === null) {
    return unreachableAnswer(state, { callId, next: call.kind, name: call.name });
  }
  const request = { kind: "lookup", name: call.name } as const;
  return ask(state, { callId, next: call.kind, request, mountId }, nowMs);
}

/**
 * Nobody can be asked. Nobody can create names meanwhile either, and every live session stored each
 * name before its creation was answered, so a denial is right unless this host alone was cut off.
 */
function unreachableAnswer(
  state: AgentState,
  { callId, next, name }: Pick<PendingRequest, "callId" | "next" | "name">,
): void {
  if (state.options.unknownNames === "deny") return fail(state, callId, notFound);
  if (next === "get") {
    const one = { name, mountpoint: "", createdAtMs: null, status: { phase: "unknown" } };
    return state.emit({ kind: "answer", callId, answer: { kind: "volume", volume: one } });
  }
  return fail(
    state,
    callId,
    `Whether volume ${name} exists cannot be asked: the control service is not reachable ` +
      "from this node. Start it, or set unknown_names: deny in agent.yml.",
  );
}

type Asked = {
  readonly callId: number;
  readonly next: PendingRequest["next"];
  readonly request: Request;
  readonly mountId: string;
};

function ask(state: AgentState, asked: Asked, nowMs: number): void {
  const { callId, next, request, mountId } = asked;
  const id = state.nextToken;
  state.nextToken += 1;
  const message = { kind: "request", id, request } as const;
  const spanMs = request.kind === "lookup" ? state.timings.lookupMs : state.timings.requestMs;
  const untilMs = nowMs + spanMs;
  state.requests.set(id, { callId, next, name: request.name, mountId, message, untilMs });
  state.send(message);
}

function create(
  state: AgentState,
  callId: number,
  call: Extract<PluginCall, { readonly kind: "create" }>,
  nowMs: number,
): void {
  if (state.names.has(call.name) && hasNoOptions(call.options)) {
    state.emit({ kind: "answer", callId, answer: { kind: "ok" } });
    return;
  }
  const request = { kind: "create", name: call.name, options: call.options } as const;
  ask(state, { callId, next: "create", request, mountId: "" }, nowMs);
}

function hasNoOptions(options: CreateOptions): boolean {
  return Object.values(options).every((value) => value === null);
}

/** The control service's answer to a call that waited for it. */
export function answered(state: AgentState, id: number, answer: Answer, nowMs: number): void {
  const pending = state.requests.get(id);
  if (pending === undefined) return; // Late: its call was answered with an error already.
  state.requests.delete(id);
  const { callId, next, name } = pending;
  if (answer.kind === "error") {
    if (pending.message.request.kind === "lookup") unreachableAnswer(state, pending);
    else fail(state, callId, answer.message);
    return;
  }
  const { entry } = answer;
  if (entry !== null) state.names.set(entry.name, entry.datasetId);
  if (next === "create" || next === "remove") {
    const { request } = pending.message;
    const meant = request.kind === "remove" ? request.datasetId : null;
    if (meant !== null && state.names.get(name) === meant) state.names.delete(name);
    state.emit({ kind: "answer", callId, answer: { kind: "ok" } });
  } else if (entry === null) fail(state, callId, notFound);
  else proceed(state, pending, entry.datasetId, nowMs);
}

function fail(state: AgentState, callId: number, message: string): void {
  state.emit({ kind: "answer", callId, answer: { kind: "error", message } });
}

function proceed(
  state: AgentState,
  call: Pick<PendingRequest, "callId" | "next" | "name" | "mountId">,
  datasetId: DatasetId,
  nowMs: number,
): void {
  const { callId, next, name, mountId } = call;
  const one = volume(state, name, datasetId);
  if (next === "get") {
    state.emit({ kind: "answer", callId, answer: { kind: "volume", volume: one } });
  } else if (next === "path") {
    const answer: PluginAnswer =
      one.mountpoint === ""
        ? { kind: "error", message: notAvailable }
        : { kind: "mountpoint", mountpoint: one.mountpoint };
    state.emit({ kind: "answer", callId, answer });
  } else {
    const local = state.local(datasetId);
    mount(state, local, { callId, id: mountId, untilMs: nowMs + state.timings.mountMs }, nowMs);
    if (local.waiting.length > 0) kick(state, datasetId);
  }
}

function listed(state: AgentState, name: string): PluginVolume {
  const id = state.names.get(name);
  assert(id !== undefined, "the names listed are the names known");
  return volume(state, name, id);
}

function volume(state: AgentState, name: string, datasetId: DatasetId): PluginVolume {
  const local = state.datasets.get(datasetId);
  const shown = local !== undefined && state.shown(local);
  const record = state.records.get(datasetId)?.record;
  const ours = record?.claim?.node === state.options.node || (local?.waiting.length ?? 0) > 0;
  const phase = shown ? "attached" : ours ? "pending" : "elsewhere";
  return {
    name,
    mountpoint: shown ? state.mountpoint(datasetId) : "",
    createdAtMs: record?.createdAtMs ?? null,
    status: {
      dataset: datasetId,
      phase,
      node: record?.claim?.node ?? null,
      size: record?.sizeBytes ?? null,
      pool: record?.pool ?? null,
      notice: record?.notice ?? null,
      error: local?.condition?.message ?? null,
      warning: state.shadows.get(name) ?? null,
    },
  };
}

/** The engine gave up on a call: nothing of it may be carried out later. */
export function abandoned(state: AgentState, callId: number, nowMs: number): void {
  for (const [id, pending] of state.requests) {
    // A Create or Remove that was sent is idempotent; only its answer is not wanted any more.
    if (pending.callId === callId) state.requests.delete(id);
  }
  for (const local of state.datasets.values()) abandonMount(state, local, callId, nowMs);
}

/** Requests whose deadline passed, in words that name the way out. */
export function expireRequests(state: AgentState, nowMs: number): void {
  for (const [id, pending] of state.requests) {
    if (pending.untilMs > nowMs) continue;
    state.requests.delete(id);
    const { callId, next, name } = pending;
    if (pending.message.request.kind === "lookup") unreachableAnswer(state, pending);
    else {
      const known = state.names.get(name);
      const reason =
        known === undefined
          ? "The control service did not answer in time; trying again is safe."
          : why(state, state.local(known));
      fail(state, callId, `${next} of volume ${name}: ${reason}`);
    }
  }
}
