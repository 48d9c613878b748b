import { type Arbitrary, array, constantFrom, integer, nat, record as recordOf } from "fast-check";
import {
  type BootId,
  type NodeId,
  type OpId,
  parseBootId,
  parseDatasetId,
  parseNodeId,
  parseOpId,
  parseVolumeRef,
} from "./ids.ts";
import { newRecord } from "./new-record.ts";
import type { DatasetRecord } from "./record.ts";
import type { RecordEvent, Speaker } from "./record-event.ts";
import { isRefusal, recordStep } from "./record-step.ts";

const uuid = (prefix: string, index: number): string =>
  `${prefix.repeat(8)}-0000-4000-8000-${String(index).padStart(12, "0")}`;

const nodeOf = (index: number): NodeId => parseNodeId(uuid("a", index));
const bootOf = (index: number): BootId => parseBootId(uuid("b", index));
const opOf = (index: number): OpId => parseOpId(uuid("c", index));

/** A small world, so that random events often meet: three nodes, each booted up to three times. */
export const nodes = [nodeOf(1), nodeOf(2), nodeOf(3)] as const;
export const boots = [bootOf(1), bootOf(2), bootOf(3)] as const;
export const ops = [opOf(1), opOf(2), opOf(3), opOf(4)] as const;
export const refs = [parseVolumeRef("v1"), parseVolumeRef("v2")] as const;

function at<T>(values: readonly T[], index: number): T {
  const value = values[index % values.length];
  if (value === undefined) throw new Error("an empty list has no element");
  return value;
}

/** A dataset as it was asked for, the first node being its primary. */
export const fresh: DatasetRecord = newRecord({
  datasetId: parseDatasetId(uuid("d", 1)),
  metadata: { name: "db" },
  maximumSizeBytes: null,
  sizeBytes: 1 << 30,
  notice: null,
  pool: "default",
  poolKind: "attachable",
  fileSystem: "ext4",
  reclaim: "trash",
  primary: nodes[0],
  atMs: 1,
  lineage: ops[0],
});

type Kind = RecordEvent["kind"];

const kinds = [
  "ordered",
  "granted",
  "taken",
  "release_begun",
  "released",
  "declined",
  "attached_elsewhere",
  "rebooted",
  "fenced",
  "overridden",
  "residue_cleared",
  "cut_reported",
  "volume_registered",
  "formatted",
  "op_assigned",
  "op_vanished",
  "op_closed",
  "deletion_asked",
  "deletion_advanced",
  "restored",
  "purge_asked",
] as const satisfies readonly Kind[];

/** What happens to datasets of local pools alone. */
const localKinds = [
  "move_opened",
  "move_copied",
  "move_sealed",
  "move_committed",
  "move_aborted",
  "copy_settled",
  "copy_expired",
  "copy_discarded",
] as const satisfies readonly Kind[];

/** What only `flocker control recover` says: a store that was lost or set back learns history. */
const recoveryKinds = [
  "generation_raised",
  "claim_recovered",
  "claim_forgotten",
  "found_mounted",
] as const satisfies readonly Kind[];

/** What is random about an event; the rest of it depends on the record that it meets. */
export type Choice = {
  readonly kind: Kind;
  /** Says what the one who may say it would say; otherwise anybody says anything. */
  readonly fitting: boolean;
  readonly node: number;
  readonly boot: number;
  readonly number: number;
};

function choicesOf(some: readonly Kind[]): Arbitrary<readonly Choice[]> {
  const one = recordOf({
    kind: constantFrom(...some),
    fitting: integer({ min: 0, max: 3 }).map((number) => number > 0),
    node: nat(nodes.length - 1),
    boot: nat(boots.length - 1),
    number: nat(11),
  });
  return array(one, { minLength: 1, maxLength: 40, size: "max" });
}

export const choices: Arbitrary<readonly Choice[]> = choicesOf(kinds);
export const choicesWithRecovery: Arbitrary<readonly Choice[]> = choicesOf([
  ...kinds,
  ...recoveryKinds,
]);

const localChoices: Arbitrary<readonly Choice[]> = choicesOf([
  ...kinds,
  ...recoveryKinds,
  // Moves have many steps: without this they would seldom come to their end.
  ...localKinds,
  ...localKinds,
  ...localKinds,
]);

/** The event that a choice is for a record. */
export function eventOf(record: DatasetRecord, choice: Choice): RecordEvent {
  const { kind, number, fitting } = choice;
  const { claim } = record;
  const by = speakerOf(record, choice);
  const wishAtMs = number % 2 === 0 ? null : number;
  const generation =
    fitting && claim !== null ? claim.generation : Math.max(0, record.generation - (number % 3));
  const op = fitting && record.op !== null ? record.op.id : at(ops, number);
  switch (kind) {
    case "ordered":
      return { kind, node: by.node, atMs: number };
    case "granted":
      return { kind, to: by, wishAtMs, createOp: at(ops, number) };
    case "taken":
    case "release_begun":
    case "released":
    case "declined":
    case "formatted":
      return { kind, by, generation };
    case "attached_elsewhere":
      return { kind, by, generation, node: at(nodes, number) };
    case "rebooted":
    case "found_mounted":
      return { kind, node: by.node, era: at(boots, choice.boot) };
    case "fenced":
    case "claim_forgotten":
      return { kind, node: by.node };
    case "overridden":
      return { kind, node: by.node, unheard: !fitting, op: at(ops, number), atMs: number };
    case "residue_cleared":
    case "cut_reported":
      return { kind, by };
    case "volume_registered": {
      const created = record.volume.kind === "creating" ? record.volume.op : at(ops, number);
      const ref = at(refs, number);
      return { kind, by, op: fitting ? created : at(ops, number), ref, sizeBytes: 1 << 30 };
    }
    case "op_assigned":
      return { kind, op, executor: by };
    case "op_vanished":
      return { kind, op, atMs: number };
    case "op_closed":
      return { kind, op, outcome: number % 3 === 0 ? "not_done" : "done" };
    case "deletion_asked":
      return { kind, atMs: number, reclaim: at(["trash", "delete", "retain"] as const, number) };
    case "deletion_advanced":
      return { kind, op: at(ops, number) };
    case "restored":
      return { kind, metadata: record.metadata };
    case "purge_asked":
      return { kind };
    case "move_opened":
    case "move_copied":
    case "move_sealed":
    case "move_committed":
    case "move_aborted":
    case "copy_settled":
    case "copy_discarded":
    case "copy_expired":
      return localEventOf(record, choice, kind);
    case "generation_raised":
      return { kind, generation: record.generation + (number % 4) };
    case "claim_recovered": {
      const { node, era } = by;
      return { kind, holder: { node, era, generation: record.generation + (number % 3) } };
    }
    default:
      throw new Error(`no such kind: ${String(kind satisfies never)}`);
  }
}

function localEventOf(
  record: DatasetRecord,
  choice: Choice,
  kind: (typeof localKinds)[number],
): RecordEvent {
  const { claim, generation, move: open } = record;
  const { fitting, number } = choice;
  const end = kind === "move_sealed" ? open?.source : open?.target;
  const anybody = { node: at(nodes, choice.node), era: at(boots, choice.boot), session: 1 };
  const era = claim?.node === end ? claim?.era : undefined;
  const by =
    fitting && end !== undefined ? { ...anybody, node: end, era: era ?? anybody.era } : anybody;
  const move = fitting && open !== null ? open.id : at(ops, number);
  switch (kind) {
    case "move_opened":
      return { kind, move: at(ops, number), target: anybody.node, atMs: number };
    case "move_aborted":
      return { kind, move };
    case "move_copied":
      return { kind, by, move };
    case "move_committed":
      return { kind, by, move, atMs: number };
    case "move_sealed":
      return { kind, by, move, generation: fitting ? generation : generation - (number % 2) };
    case "copy_expired":
      return { kind, node: anybody.node };
    case "copy_settled":
    case "copy_discarded": {
      const fits = record.copies.find(({ role, discarding }) =>
        kind === "copy_settled" ? role === "live" : discarding,
      );
      return {
        kind,
        by: fitting && fits !== undefined ? { ...anybody, node: fits.node } : anybody,
      };
    }
    default:
      throw new Error(`no such kind: ${String(kind satisfies never)}`);
  }
}

function speakerOf({ claim, residue, superseded }: DatasetRecord, choice: Choice): Speaker {
  const anybody = { node: at(nodes, choice.node), era: at(boots, choice.boot), session: 1 };
  if (!choice.fitting) return anybody;
  const { kind } = choice;
  if (kind === "residue_cleared" && residue !== null) return { ...anybody, node: residue };
  const [cut] = superseded;
  if (kind === "cut_reported" && cut !== undefined) return { ...anybody, node: cut };
  if (kind === "rebooted" && claim !== null) return { ...anybody, node: claim.node };
  if (kind === "ordered" || kind === "granted" || kind === "op_assigned") return anybody;
  return claim === null ? anybody : { ...anybody, node: claim.node, era: claim.era };
}

/** One event that was not refused, with the records around it. */
export type Change = {
  readonly before: DatasetRecord;
  readonly event: RecordEvent;
  readonly after: DatasetRecord;
};

/** Runs the choices from `start`; refused events change nothing and are left out. */
export function history(some: readonly Choice[], start: DatasetRecord = fresh): readonly Change[] {
  const changes: Change[] = [];
  let before = start;
  for (const choice of some) {
    const event = eventOf(before, choice);
    const next = recordStep(before, event);
    if (isRefusal(next)) continue;
    changes.push({ before, event, after: next });
    before = next;
  }
  return changes;
}

/** What `events` make of it, none of which is refused. */
export function after(record: DatasetRecord, ...events: readonly RecordEvent[]): DatasetRecord {
  return events.reduce((so, event) => {
    const next = recordStep(so, event);
    if (isRefusal(next)) throw new Error(`${event.kind}: ${next.reason}`);
    return next;
  }, record);
}

/** Why an event is refused; null when it is not. */
export function refusal(record: DatasetRecord, event: RecordEvent): string | null {
  const next = recordStep(record, event);
  return isRefusal(next) ? next.reason : null;
}

/** A record that random events lead to. */
export const records: Arbitrary<DatasetRecord> = choices.map(
  (some) => history(some).at(-1)?.after ?? fresh,
);

/** The same dataset in a local pool, with a live copy on the first node. */
export const freshLocal: DatasetRecord = {
  ...fresh,
  poolKind: "local",
  fileSystem: null,
  volume: { kind: "exists", ref: refs[0], sizeBytes: 1 << 30 },
  formatted: "yes",
  copies: [
    {
      node: nodes[0],
      role: "live",
      generation: 0,
      sinceMs: 1,
      settled: true,
      discarding: false,
    },
  ],
};

export const localHistories: Arbitrary<readonly Change[]> = localChoices.map((some) =>
  history(some, freshLocal),
);
