import type { DatasetId } from "../../domain/ids.ts";
import { nameOf } from "../../domain/record.ts";
import type { AgentState, Local } from "./agent-state.ts";
import type { ContainerSeen, StartOutcome, User } from "./effects.ts";
import { unmount, usable } from "./mounts.ts";

/** What is known of the users of a dataset besides what the engine asked for. */
type Look = {
  /** Both the engine and the mounts were looked at no earlier than this. */
  readonly atMs: number;
  readonly found: boolean;
  /** A container that names the volume has not run yet: its start may be under way. */
  readonly created: boolean;
};

/**
 * Ends users that nobody shows any more: an engine that was killed, or gave up, never sends their
 * Unmount. An answered Mount is kept for `userHoldMs`; then two looks, `userMissMs` apart, must both
 * find neither a container nor a mount of it. Who could not look has seen nothing.
 */
export function reconcileUsers(state: AgentState, local: Local, nowMs: number): void {
  if (local.users.size === 0) return;
  const look = lookForUsers(state, local, nowMs);
  if (look === null) return;
  for (const user of local.users.values()) {
    if (isPresent(state, user, look)) {
      if (user.missedAtMs !== null) local.users.set(user.id, { ...user, missedAtMs: null });
    } else if (user.missedAtMs === null) {
      local.users.set(user.id, { ...user, missedAtMs: look.atMs });
    } else if (look.atMs >= user.missedAtMs + state.timings.userMissMs) {
      state.log("warn", "user.dropped", { datasetId: local.datasetId, userId: user.id });
      unmount(state, local, user.id, nowMs);
    }
  }
  lookAgain(state, local, nowMs);
}

/**
 * Users that something shows, or that came after the last look. An engine that was killed never
 * ends the others; a removal need not wait for them, as it takes nothing: the volume is given back
 * only once they have ended too.
 */
export function evidentUsers(state: AgentState, local: Local, nowMs: number): number {
  const look = lookForUsers(state, local, nowMs);
  if (look === null || look.found || look.created) return local.users.size;
  return [...local.users.values()].filter(({ sinceMs }) => sinceMs >= look.atMs).length;
}

function isPresent({ timings }: AgentState, { sinceMs }: User, look: Look): boolean {
  if (look.found || look.atMs < sinceMs + timings.userHoldMs) return true;
  // One that an engine's crash left behind stays "created" for ever.
  return look.created && look.atMs < sinceMs + timings.userStartMs;
}

function lookForUsers(state: AgentState, local: Local, nowMs: number): Look | null {
  const { engine } = state;
  const see = local.observed;
  // Where it is mounted but not shown, its users were not looked for.
  if (engine === null || see === null || see.kind === "unknown" || see.kind === "mounted") {
    return null;
  }
  const holders = see.kind === "shown" || see.kind === "held" ? see.holders : [];
  const name = nameOfDataset(state, local.datasetId);
  const containers = engine.containers.filter(
    ({ volumes }) => name !== null && volumes.includes(name),
  );
  return {
    atMs: Math.min(engine.atMs, local.observedAtMs),
    found:
      holders.length > 0 ||
      containers.some(
        (one) => one.state === "running" || mountsAnother(state, one, local.datasetId, nowMs),
      ),
    created: containers.some((one) => one.state === "created"),
  };
}

/**
 * The engine mounts the volumes of a container one after another, and each may wait for minutes:
 * what was answered first has no other sign meanwhile.
 */
function mountsAnother(
  state: AgentState,
  { volumes }: ContainerSeen,
  datasetId: DatasetId,
  nowMs: number,
): boolean {
  return volumes.some((name) => {
    const id = state.names.get(name);
    const other = id === undefined || id === datasetId ? undefined : state.datasets.get(id);
    if (other === undefined) return false;
    const sinceMs = Math.max(0, ...[...other.users.values()].map((user) => user.sinceMs));
    const young = other.users.size > 0 && nowMs < sinceMs + state.timings.userHoldMs;
    return young || other.waiting.length > 0;
  });
}

/** A look that could end a user is not waited for longer than it must be. */
function lookAgain(state: AgentState, local: Local, nowMs: number): void {
  const { userHoldMs, userMissMs } = state.timings;
  const dueMs = [...local.users.values()].map(({ sinceMs, missedAtMs }) =>
    missedAtMs === null ? sinceMs + userHoldMs : missedAtMs + userMissMs,
  );
  const due = dueMs.some((atMs) => atMs <= nowMs && local.observedAtMs < atMs);
  if (due && local.phase === "idle") local.wakeAtMs = nowMs;
}

/** A dataset's name as containers know it, also when no record of it concerns this node. */
function nameOfDataset(state: AgentState, datasetId: DatasetId): string | null {
  const record = state.records.get(datasetId)?.record;
  if (record !== undefined) return nameOf(record);
  return [...state.names].find(([, id]) => id === datasetId)?.[0] ?? null;
}

/** A container that the engine gave up on, and what was tried for it. */
export type WaitingStart = {
  readonly sinceMs: number;
  readonly tries: number;
  readonly nextMs: number;
};

const triesMax = 5;

/**
 * The engine does not try again to start a container whose volume could not be mounted: after a
 * power failure, hosts that were up before the control service would stay without their containers.
 * Each is started once all its volumes are shown here under a claim. What waits is what the engine
 * says; what was tried for it is kept as long as it does.
 */
export function startWaiting(state: AgentState, nowMs: number): void {
  const { engine } = state;
  if (engine === null || state.starting !== null) return;
  const waiting = engine.containers.filter(({ waits }) => waits);
  const ids = new Set(waiting.map(({ id }) => id));
  for (const id of state.waitingStarts.keys()) if (!ids.has(id)) state.waitingStarts.delete(id);
  for (const container of waiting) {
    const known = state.waitingStarts.get(container.id);
    const one = known ?? { sinceMs: nowMs, tries: 0, nextMs: nowMs };
    if (known === undefined) state.waitingStarts.set(container.id, one);
    if (!isDue(state, one, nowMs) || !isReady(state, container)) continue;
    const tries = one.tries + 1;
    const nextMs = nowMs + state.timings.startRetryMs * 2 ** one.tries;
    state.waitingStarts.set(container.id, { ...one, tries, nextMs });
    state.starting = container;
    state.emit({ kind: "start_container", containerId: container.id });
    return;
  }
}

function isDue({ timings }: AgentState, one: WaitingStart, nowMs: number): boolean {
  const isFresh = nowMs < one.sinceMs + timings.startAgeMs;
  return isFresh && one.tries < triesMax && one.nextMs <= nowMs;
}

/** A Mount of each of its volumes would be answered at once. */
function isReady(state: AgentState, { volumes }: ContainerSeen): boolean {
  return volumes.every((name) => {
    const id = state.names.get(name);
    const local = id === undefined ? undefined : state.datasets.get(id);
    return local !== undefined && usable(state, local) && state.shown(local);
  });
}

/** The engine's answer. Nothing is known of what it runs until it lists that anew. */
export function startEnded(state: AgentState, containerId: string, outcome: StartOutcome): void {
  const container = state.starting;
  state.starting = null;
  if (container?.id !== containerId) return;
  const { id, name, volumes } = container;
  const attempt = state.waitingStarts.get(id)?.tries ?? 0;
  if (outcome.kind === "started") {
    state.log("info", "container.started", { containerId: id, name, volumes, attempt });
    state.send({ kind: "container_started", id, name, volumes });
  } else if (outcome.kind === "failed") {
    const { reason } = outcome;
    state.log("warn", "container.start_failed", {
      containerId: id,
      name,
      volumes,
      attempt,
      reason,
    });
  }
}
