import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import type { ClusterId, DatasetId, OpId } from "../../domain/ids.ts";
import type { LocalCopy, StreamStage } from "../../domain/local-copy.ts";
import type { Capabilities } from "../../domain/pool.ts";
import type { Identity } from "../../domain/volume.ts";
import type { Call } from "../attachable.ts";
import type { LocalBackend, StreamSum } from "../local.ts";
import { type Case, runCase } from "./run-case.ts";

/** Two nodes of one cluster with a pool each, and what a case needs to look behind the driver. */
export type LocalBench = {
  readonly backend: LocalBackend;
  readonly otherBackend: LocalBackend;
  readonly clusterId: ClusterId;
  readonly call: Call;
  readonly newDatasetId: () => DatasetId;
  readonly newOp: () => OpId;
  /** The pool of `backend` as a restarted agent opens it. */
  readonly openAgain: () => Promise<LocalBackend>;
  /** Takes the pool of `backend` away, as a disk that is not there; null where nobody can. */
  readonly losePool: (() => Promise<AsyncDisposable>) | null;
  readonly files: FileProbe;
};

/** What is done with the files of a volume behind the driver's back, below its `data`. */
export type FileProbe = {
  /** Fails when the volume refuses. */
  readonly write: (at: Place, name: string, text: string) => Promise<void>;
  /** Null when there is no such file. */
  readonly read: (at: Place, name: string) => Promise<string | null>;
  readonly names: (at: Place) => Promise<readonly string[]>;
  /** Permission bits of `data`. */
  readonly mode: (at: Place) => Promise<number>;
  /** Writes until it was refused or `bytes` were taken; returns how many were. */
  readonly fill: (at: Place, bytes: number) => Promise<number>;
  /** As a process that has a file open for writing; with `writes` it writes without a pause. */
  readonly hold: (at: Place, writes: boolean) => Promise<FileHold>;
};

export type FileHold = AsyncDisposable & {
  /** Writes through the descriptor into the file `held`, and flushes. */
  readonly write: (text: string) => Promise<void>;
};

export type Place = { readonly backend: LocalBackend; readonly datasetId: DatasetId };

export type LocalCase = Case<LocalBench> & {
  /** Left out where the bench cannot take a pool away. */
  readonly needs?: "losePool";
};

/** Runs a case and destroys the datasets that it asked for; diverged copies go with the bench. */
export function runLocalCase(
  item: LocalCase,
  makeBench: () => Promise<LocalBench & AsyncDisposable>,
): Promise<void> {
  return runCase(item, makeBench, destroyAll);
}

async function destroyAll(bench: LocalBench, datasetIds: readonly DatasetId[]): Promise<void> {
  const { backend, otherBackend, call } = bench;
  for (const id of datasetIds) {
    for (const driver of [backend, otherBackend]) await driver.destroy(id, call);
  }
}

export const mebi = 2 ** 20;

/** A size of these cases: some MiB, as this driver takes it. */
export function sizeOf({ sizeBytesMin, sizeBytesStep }: Capabilities, atLeast = 16 * mebi): number {
  return Math.ceil(Math.max(sizeBytesMin, atLeast) / sizeBytesStep) * sizeBytesStep;
}

export function newIdentity(bench: LocalBench, datasetId = bench.newDatasetId()): Identity {
  return { clusterId: bench.clusterId, datasetId, lineage: bench.newOp(), generation: 0 };
}

/** A live volume of its own on `backend`, with one file. */
export async function newLive(bench: LocalBench, text = "content"): Promise<Made> {
  const { backend, call, files } = bench;
  const identity = newIdentity(bench);
  const { datasetId } = identity;
  const sizeBytes = sizeOf(backend.capabilities);
  await backend.create({ datasetId, identity, sizeBytes }, call);
  const at = { backend, datasetId };
  await files.write(at, "file", text);
  return { datasetId, identity, sizeBytes, at };
}

export type Made = {
  readonly datasetId: DatasetId;
  readonly identity: Identity;
  readonly sizeBytes: number;
  readonly at: Place;
};

/** The kinds of what a pool has of a dataset, sorted. */
export async function kinds({ backend, datasetId }: Place, call: Call): Promise<readonly string[]> {
  return (await backend.look(datasetId, call)).map(({ kind }) => kind).sort();
}

export async function copyOf<Kind extends LocalCopy["kind"]>(
  { backend, datasetId }: Place,
  kind: Kind,
  call: Call,
): Promise<Extract<LocalCopy, { readonly kind: Kind }>> {
  const copies = await backend.look(datasetId, call);
  const found = copies.find(
    (copy): copy is Extract<LocalCopy, { readonly kind: Kind }> => copy.kind === kind,
  );
  assert.ok(found, `no copy is ${kind}, but ${JSON.stringify(copies)}`);
  return found;
}

export type Stage = {
  readonly datasetId: DatasetId;
  readonly move: OpId;
  readonly stage: StreamStage;
  readonly onBase: boolean;
};

/** One stage from `from` to `to`, not accepted yet. */
export async function transfer(
  { from, to, call }: { from: LocalBackend; to: LocalBackend; call: Call },
  stage: Stage,
): Promise<readonly [sent: StreamSum, received: StreamSum]> {
  const pipe = new PassThrough();
  const reserveBytes = await from.streamBytes(stage, call);
  return Promise.all([
    from.send(stage, pipe, call),
    to.receive({ ...stage, reserveBytes }, pipe, call),
  ]);
}

/** A dataset that was moved from `backend` to `otherBackend`, whole, but not promoted there yet. */
export async function newReceived(bench: LocalBench, text = "content"): Promise<Made & Move> {
  const made = await newLive(bench, text);
  const move = bench.newOp();
  await moveOver(bench, { datasetId: made.datasetId, move });
  return { ...made, move, there: { backend: bench.otherBackend, datasetId: made.datasetId } };
}

export type Move = { readonly move: OpId; readonly there: Place };

/** Seals and moves what is live on `backend` to `otherBackend`, in one stage. */
export async function moveOver(
  { backend, otherBackend, call }: LocalBench,
  { datasetId, move }: { readonly datasetId: DatasetId; readonly move: OpId },
): Promise<void> {
  await backend.seal({ datasetId, move }, call);
  const stage = { datasetId, move, stage: "delta", onBase: false } as const;
  await transfer({ from: backend, to: otherBackend, call }, stage);
  await otherBackend.accept(stage, call);
}
