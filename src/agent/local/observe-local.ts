import type { Call } from "../../backends/attachable.ts";
import type { LocalBackend } from "../../backends/local.ts";
import type { LocalCopy } from "../../domain/local-copy.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import type { Holder } from "../../domain/volume.ts";
import { unreachable } from "../../lib/assert.ts";
import { hasCode, messageOf } from "../../lib/errors.ts";
import type { DesiredLocal } from "../../planner/local-desired.ts";
import { chooseCopy } from "../../planner/local-look.ts";
import type { ObservedLocal } from "../../planner/observed.ts";
import type { HeldCopy } from "../../protocol/agent-messages.ts";
import type { Found } from "../core/effects.ts";
import type { LocalPorts } from "./execute-local.ts";

type LookPorts = Pick<LocalPorts, "host" | "backend">;
type Asked = { readonly record: DatasetRecord; readonly want: DesiredLocal };

export type LocalLook = { readonly observed: ObservedLocal; readonly found: Found | null };

/** Figures for people must not hold up a look at what is in use. */
const figuresMsMax = 5_000;

/**
 * Looks at one dataset of a local pool. What is mounted is seen in mountinfo alone, so that a dead
 * disk never hides it; only what is not shown is looked for in the pool. Never rejects: a failure
 * to look is `unknown`.
 */
export async function observeLocal(asked: Asked, ports: LookPorts, call: Call): Promise<LocalLook> {
  const { datasetId, pool } = asked.record;
  try {
    const mounts = await ports.host.mounts(datasetId);
    const backend = ports.backend(pool);
    // Showing what is bound privately is the rest of what was begun; elsewhere it is to be undone.
    if (mounts.shown || (mounts.volume && asked.want.kind !== "use")) {
      const holders = await holdersOf(asked, { backend, host: ports.host }, call);
      return { observed: { kind: "shown", holders }, found: await figures(asked, backend, call) };
    }
    return await lookInPool(asked, { backend, host: ports.host }, call);
  } catch (error) {
    if (hasCode(error, "POOL_MISSING")) return { observed: { kind: "pool_missing" }, found: null };
    const reason = messageOf(error);
    return {
      observed: { kind: "unknown", reason, busy: hasCode(error, "BUSY_CHILD") },
      found: null,
    };
  }
}

type At = { readonly backend: LocalBackend; readonly host: LocalPorts["host"] };

function holdersOf(
  { record }: Asked,
  { backend, host }: At,
  call: Call,
): Promise<readonly Holder[]> {
  const { datasetId } = record;
  return host.holdersAt(datasetId, backend.livePath(datasetId), call);
}

async function lookInPool(asked: Asked, at: At, call: Call): Promise<LocalLook> {
  const { record, want } = asked;
  const { backend } = at;
  const copies = await backend.look(record.datasetId, call);
  const found = { copies: heldCopies(copies, record.pool), usedBytes: null };
  const chosen = chooseCopy(copies, want);
  if (isInPlace(chosen) && want.kind !== "nothing" && want.kind !== "unknown") {
    const holders = await holdersOf(asked, at, call);
    if (holders.length > 0) return { observed: { kind: "held", holders }, found };
  }
  return { observed: await observedOf(chosen, asked, { backend, call }), found };
}

/** Somebody may have files of it open: it is, or was, what containers wrote to. */
function isInPlace(copy: ReturnType<typeof chooseCopy>): boolean {
  if (copy.kind === "parted") return copy.received === null;
  return copy.kind === "live" || copy.kind === "sealed";
}

async function observedOf(
  chosen: ReturnType<typeof chooseCopy>,
  { record, want }: Asked,
  { backend, call }: { readonly backend: LocalBackend; readonly call: Call },
): Promise<ObservedLocal> {
  switch (chosen.kind) {
    case "sealed": {
      // An open file goes on writing through a read-only flag; it matters before it is given away.
      const changed =
        want.kind === "seal" && (await backend.changedSinceSeal(record.datasetId, call));
      return { ...chosen, changed };
    }
    case "absent":
    case "live":
    case "received":
    case "base":
    case "partial":
    case "diverged":
    case "parted":
    case "foreign":
      return chosen;
    default:
      return unreachable(chosen);
  }
}

/** What is in use is not judged by these; a pool that does not answer leaves them out. */
async function figures(
  { record }: Asked,
  backend: LocalBackend,
  call: Call,
): Promise<Found | null> {
  const { datasetId, pool } = record;
  const quick = { ...call, deadlineMs: Math.min(call.deadlineMs, figuresMsMax) };
  try {
    const copies = heldCopies(await backend.look(datasetId, quick), pool);
    return { copies, usedBytes: await backend.usedBytes(datasetId, quick) };
  } catch {
    return null;
  }
}

/** A pool's copies as the control service is told of them. */
export function heldCopies(copies: readonly LocalCopy[], pool: string): readonly HeldCopy[] {
  return copies.map((copy) => ({
    kind: copy.kind,
    pool,
    generation: "identity" in copy ? copy.identity.generation : null,
    move: "move" in copy ? copy.move : null,
  }));
}
