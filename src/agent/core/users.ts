import type { DatasetId } from "../../domain/ids.ts";
import { nameOf } from "../../domain/record.ts";
import type { AgentState, Local } from "./agent-state.ts";
import type { ContainerSeen, User } from "./effects.ts";
import { unmount } from "./mounts.ts";

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
 * find neither a container nor a mount of it (hazard F21). Who could not look has seen nothing.
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
