import { assert } from "../lib/assert.ts";
import type { BootId, DatasetId, NodeId, OpId, VolumeRef } from "./ids.ts";

/**
 * A claim ends only by released, sealed (the release of a move's source), declined, rebooted,
 * fenced, overridden or recovery (ADR 0009).
 */
export type Claim = {
  readonly node: NodeId;
  readonly era: BootId;
  readonly generation: number;
  /**
   * `granted`: the node may not have heard. `taken`: it said that it begins. `releasing`: durable,
   * cannot be cancelled, only answered by `released`.
   */
  readonly phase: "granted" | "taken" | "releasing";
  /** What a grant of a wish changed, to be restored when it is declined; null for an order's. */
  readonly before: {
    readonly primary: NodeId;
    readonly orderedAtMs: number;
    /** Not given by older versions, which forgot it. */
    readonly orderOpen?: boolean;
  } | null;
};

/** Existence is remembered, not observed: create only from `never`. */
export type VolumeState =
  | { readonly kind: "never" }
  | { readonly kind: "creating"; readonly op: OpId }
  | { readonly kind: "exists"; readonly ref: VolumeRef; readonly sizeBytes: number }
  | { readonly kind: "gone" };

/**
 * A copy of a local dataset; only `live` is ever mounted. A node has at most one that
 * is not diverged, and its incoming replica beside a fallback while a move to it is open.
 */
export type Copy = {
  readonly node: NodeId;
  readonly role: "live" | "fallback" | "replica" | "diverged";
  /** What the copy holds was shown under this generation or a later one: older is not this copy. */
  readonly generation: number;
  /** When it became what it is (control clock, ms): the age that a person is told. */
  readonly sinceMs: number;
  /** Its node reported it durable; the fallback of a live one that is not settled stays. */
  readonly settled: boolean;
  /** Not needed any more: its node removes it and says so. */
  readonly discarding: boolean;
};

/**
 * Whatever takes from another node or destroys. While one is open nothing is granted or restored
 * (ADR 0009). `executor` null: nobody was asked yet.
 */
export type Op = {
  readonly id: OpId;
  readonly kind: "force_detach" | "destroy";
  /** The node that it takes from; null for `destroy`. */
  readonly target: NodeId | null;
  readonly executor: {
    readonly node: NodeId;
    readonly era: BootId;
    readonly session: number;
  } | null;
  /** Instant (control clock, ms) from which `operationMsMax` counts once the executor vanished. */
  readonly vanishedAtMs: number | null;
};

/**
 * The one switch of a local move: it ends by a commit or by an abort, never by both.
 * `precopy`: the bulk goes over while the source may be in use. `copied`: the target has the bulk,
 * the holder may give back. `sealed`: nobody mounts, not even the source.
 */
export type Move = {
  readonly id: OpId;
  readonly source: NodeId;
  readonly target: NodeId;
  readonly phase: "precopy" | "copied" | "sealed";
  /** Of the live copy when it was opened; from the seal on, of what was sealed. */
  readonly generation: number;
  readonly openedAtMs: number;
};

export type Reclaim = "trash" | "delete" | "retain";

/** What remains to be done with a dataset whose deletion was asked. */
export type Deletion = {
  readonly atMs: number;
  /** `delete` destroys the volume; the others keep it. Copied from `reclaim`, or `--purge`. */
  readonly reclaim: Reclaim;
  /** `deleting` until nobody holds it; then `trashed`, `retained` or `gone`. */
  readonly phase: "deleting" | "trashed" | "retained" | "gone";
};

export type FileSystem = "ext4" | "xfs";

/** Everything the cluster knows for ever about one dataset: the unit of compare-and-set. */
export type DatasetRecord = {
  readonly datasetId: DatasetId;
  /** Revision of the store at the last change: the token of compare-and-set and of pushes. */
  readonly revision: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Bytes as the user gave them; null when none was given. */
  readonly maximumSizeBytes: number | null;
  /** Bytes that a volume is created with: default or rounded up to the pool's step. */
  readonly sizeBytes: number;
  readonly notice: string | null;
  readonly pool: string;
  readonly poolKind: "attachable" | "local";
  /** Null where the pool has its own, as local pools do. */
  readonly fileSystem: FileSystem | null;
  readonly reclaim: Reclaim;
  readonly primary: NodeId;
  /**
   * When `primary` was ordered or a wish set it (control clock, ms): orders before younger wishes.
   */
  readonly orderedAtMs: number;
  /** The order was not served yet: it comes before younger wishes. A served one only rests. */
  readonly orderOpen: boolean;
  readonly createdAtMs: number;
  readonly deletion: Deletion | null;
  /** Highest generation of all history, whoever named it. Only ever grows. */
  readonly generation: number;
  readonly claim: Claim | null;
  readonly volume: VolumeState;
  /** `yes` durably before the first showing; mkfs only while `no`. */
  readonly formatted: "no" | "yes";
  /**
   * Identity of the mkfs that made the content; written on the volume. Of a block volume each claim
   * has one of its own until it is `formatted`.
   */
  readonly lineage: OpId;
  readonly copies: readonly Copy[];
  readonly op: Op | null;
  readonly move: Move | null;
  /**
   * A node whose attachment may still stand on the storage although its claim has ended without a
   * release (reboot). Nobody else is granted before that node or an op has cleared it.
   */
  readonly residue: NodeId | null;
  /**
   * A superseded node (its claim was overridden) that has not reported that it cut its access: it
   * gets no claim for this dataset before (ADR 0009).
   */
  readonly superseded: readonly NodeId[];
  /** The copy of another dataset that its first volume is made of (`copies rescue`). */
  readonly from: { readonly datasetId: DatasetId; readonly node: NodeId } | null;
  /** Only the id and name are known (recovered from agents); nothing is granted. */
  readonly lost: boolean;
};

/** An engine gives such a name to a volume that nobody named, for one container alone. */
export const anonymousName = /^[0-9a-f]{64}$/;

/** Mounted name, unique among live datasets; datasets without one are legal. */
export function nameOf(record: Pick<DatasetRecord, "metadata">): string | null {
  return record.metadata["name"] ?? null;
}

/** The copy that may be mounted; null when there is none yet, or of an attachable dataset. */
export function liveCopy({ copies }: Pick<DatasetRecord, "copies">): Copy | null {
  return copies.find(({ role }) => role === "live") ?? null;
}

/**
 * Deleted datasets are listed until their volume is gone or in the trash, then not at all, though
 * they are still known by id.
 */
export function isListed({ deletion }: Pick<DatasetRecord, "deletion">): boolean {
  return deletion === null || deletion.phase === "deleting";
}

/** What a block volume of this dataset is formatted with; only local pools have their own. */
export function blockFileSystem({ fileSystem }: Pick<DatasetRecord, "fileSystem">): FileSystem {
  assert(fileSystem !== null, "a dataset of an attachable pool has a file system");
  return fileSystem;
}
