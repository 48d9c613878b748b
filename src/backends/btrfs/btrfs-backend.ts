import { randomUUID } from "node:crypto";
import type { Readable, Writable } from "node:stream";
import type { ClusterId, DatasetId, OpId } from "../../domain/ids.ts";
import type { LocalCopy, PoolUsage } from "../../domain/local-copy.ts";
import type { Identity } from "../../domain/volume.ts";
import { findDirectoryUsers } from "../../lib/directory-users.ts";
import { FlockerError, hasCode } from "../../lib/errors.ts";
import { exec } from "../../lib/exec.ts";
import type { Call } from "../attachable.ts";
import { checkStamp, encodeSlot, newBlock } from "../identity-block.ts";
import type { LocalBackend, MadeLive, StreamOf, StreamSum } from "../local.ts";
import { copiesOf, type Found, ours, parseList, parseLook } from "./look.ts";
import { nestedVolumes, type Pool } from "./pool.ts";
import {
  changedScript,
  createScript,
  discardPartialScript,
  divergeCopyScript,
  divergeScript,
  listScript,
  lookScript,
  poolStatus,
  removeScript,
  reopenScript,
  sealScript,
  snapshotScript,
  stampScript,
  sweepScript,
  syncScript,
  usedScript,
} from "./pool-scripts.ts";
import { Streams, usageOf } from "./streams.ts";

type Stream = StreamOf & { readonly onBase: boolean };

/** How long a dataset waits for the space of what moves left behind. */
const tidyMsMax = 5_000;

/** Each volume is a subvolume with a limit; each copy a read-only snapshot. See `LocalBackend`. */
export class BtrfsBackend implements LocalBackend {
  readonly capabilities = {
    kind: "local",
    exclusive: "enforced", // No other machine can reach a node's own disk.
    fence: "none",
    sizeBytesMin: 2 ** 20,
    sizeBytesStep: 4096,
    sizeBytesMax: 2 ** 50,
    attachedMax: 4096,
    listDelayMsMax: 0,
    // A request is a child under the dataset's lock: once that is free, nothing is under way.
    operationMsMax: 1_000,
  } as const;
  readonly fileSystem = "btrfs";
  readonly poolId: string;
  readonly #pool: Pool;
  readonly #clusterId: ClusterId;
  readonly #streams: Streams;

  constructor(pool: Pool, clusterId: ClusterId) {
    this.#pool = pool;
    this.poolId = pool.poolId;
    this.#clusterId = clusterId;
    this.#streams = new Streams(pool, clusterId);
  }

  usage(call: Call): Promise<PoolUsage> {
    return usageOf(this.#pool, call);
  }

  async list(call: Call): Promise<readonly DatasetId[]> {
    return parseList((await this.#pool.run(listScript, [], call)).stdout);
  }

  async look(datasetId: DatasetId, call: Call): Promise<readonly LocalCopy[]> {
    return copiesOf(await this.#found(datasetId, call), this.#expected(datasetId));
  }

  async usedBytes(datasetId: DatasetId, call: Call): Promise<number | null> {
    const { stdout } = await this.#pool.run(usedScript, [datasetId], call);
    return stdout === "" ? null : Number(stdout);
  }

  async create(volume: MadeLive & { readonly identity: Identity }, call: Call): Promise<void> {
    const { datasetId, sizeBytes, identity } = volume;
    const { sizeBytesMin, sizeBytesStep, sizeBytesMax } = this.capabilities;
    if (sizeBytes < sizeBytesMin || sizeBytes > sizeBytesMax || sizeBytes % sizeBytesStep !== 0) {
      throw new FlockerError(
        "SIZE_OUT_OF_RANGE",
        `Volumes of btrfs have ${sizeBytesMin} to ${sizeBytesMax} bytes in steps of ` +
          `${sizeBytesStep}, not ${sizeBytes}.`,
      );
    }
    if (await this.#isMade(identity, call)) return;
    const block = newBlock({ ...identity, generation: 0 }).toString("base64");
    const args = [datasetId, `created.${identity.lineage}`, String(sizeBytes), block];
    await this.#pool.run(createScript, args, call);
  }

  livePath(datasetId: DatasetId): string {
    return `${this.#pool.path}/live/${datasetId}/volume`;
  }

  async stamp(identity: Identity, call: Call): Promise<void> {
    const { datasetId } = identity;
    const live = (await this.#found(datasetId, call)).find(({ kind }) => kind === "live");
    if (live === undefined || live.sealedFor !== null) throw notFound(datasetId, "live volume");
    if (live.block?.kind !== "valid") {
      const detail = ours(live.block, this.#expected(datasetId));
      throw new FlockerError(
        "BACKEND_REJECTED",
        `The volume of dataset ${datasetId} is foreign: ${JSON.stringify(detail)}.`,
        { details: { condition: "IDENTITY_MISMATCH" } },
      );
    }
    const { identity: found, next } = live.block;
    checkStamp(found, identity);
    const slot = encodeSlot({ counter: next.counter, identity }).toString("base64");
    const write = async (): Promise<number> => {
      const { frozen, notFound: gone } = poolStatus;
      const args = [datasetId, String(next.slot), slot];
      const { status } = await this.#pool.run(stampScript, args, call, [frozen, gone]);
      if (status === gone) throw notFound(datasetId, "live volume");
      return status;
    };
    if ((await write()) === 0) return;
    await this.#reopen(datasetId, "", call);
    await write();
  }

  async sync(datasetId: DatasetId, call: Call): Promise<void> {
    const { notFound: gone } = poolStatus;
    const { status } = await this.#pool.run(syncScript, [datasetId], call, [gone]);
    if (status === gone) throw notFound(datasetId, "live volume");
  }

  async seal(
    { datasetId, move }: { readonly datasetId: DatasetId; readonly move: OpId },
    call: Call,
  ): Promise<void> {
    const { nested, notFound: gone, busy } = poolStatus;
    const expected = [nested, gone, busy];
    const { status, stdout } = await this.#pool.run(sealScript, [datasetId, move], call, expected);
    if (status === gone) throw notFound(datasetId, "live volume");
    if (status === busy) {
      throw new FlockerError(
        "VOLUME_BUSY",
        `Somebody wrote to the volume of dataset ${datasetId} while its last snapshot was taken.`,
      );
    }
    if (status === nested) throw nestedVolumes(datasetId, stdout);
  }

  async changedSinceSeal(datasetId: DatasetId, call: Call): Promise<boolean> {
    const { notFound: gone } = poolStatus;
    const { status, stdout } = await this.#pool.run(changedScript, [datasetId], call, [gone]);
    if (status === gone) throw notFound(datasetId, "sealed volume");
    return stdout.trim() !== "same";
  }

  async reopen({ datasetId, sizeBytes }: MadeLive, call: Call): Promise<void> {
    await this.#reopen(datasetId, String(sizeBytes), call);
  }

  send(stream: Stream, sink: Writable, call: Call): Promise<StreamSum> {
    return this.#streams.send(stream, sink, call);
  }

  streamBytes(stream: Stream, call: Call): Promise<number> {
    return this.#streams.streamBytes(stream, call);
  }

  receive(
    stream: Stream & { readonly reserveBytes: number },
    source: Readable,
    call: Call,
  ): Promise<StreamSum> {
    return this.#streams.receive(stream, source, call);
  }

  accept(stream: StreamOf, call: Call): Promise<void> {
    return this.#streams.accept(stream, call);
  }

  async promote(volume: MadeLive & { readonly move: OpId }, call: Call): Promise<void> {
    const { datasetId, move, sizeBytes } = volume;
    const found = await this.#found(datasetId, call);
    const live = found.find(({ kind }) => kind === "live");
    const name = `promoted.${move}`;
    const isMade = live?.name === name || live?.name.startsWith(`${name}.`) === true;
    if (isMade && live?.sealedFor === null) return;
    const copy = found.find(({ kind, name: of }) => kind === "copy" && of === `${move}.delta`);
    const identity = ours(copy?.block ?? null, this.#expected(datasetId));
    if (typeof identity === "string") throw notFound(datasetId, `copy of move ${move}`);
    const there = live?.block?.kind === "valid" ? live.block.identity.generation : null;
    const newest = live?.sealedFor === null ? identity.generation - 1 : identity.generation;
    if (live !== undefined && (there === null || there > newest)) {
      throw new FlockerError(
        "BACKEND_REJECTED",
        `Dataset ${datasetId} has another volume here (generation ${there ?? "unknown"}) than the ` +
          `copy of move ${move} (generation ${identity.generation}); it stays.`,
      );
    }
    const from = `copies/${datasetId}/${move}.delta/volume`;
    // What is in its place stays until the other is whole: it is never made under the same name.
    const next = isMade ? `${name}.${randomUUID()}` : name;
    await this.#snapshot([datasetId, next, String(sizeBytes), from, ""], call);
  }

  async diverge(datasetId: DatasetId, move: OpId | null, call: Call): Promise<void> {
    const args = [datasetId, randomUUID()];
    if (move === null) await this.#pool.run(divergeScript, args, call);
    else await this.#pool.run(divergeCopyScript, [...args, move], call);
  }

  async rescue(
    from: DatasetId,
    to: MadeLive & { readonly identity: Identity },
    call: Call,
  ): Promise<void> {
    const source = sourceOfRescue(from, await this.#found(from, call));
    if (source === null) throw notFound(from, "copy besides a live one");
    if (await this.#isMade(to.identity, call)) return;
    const block = newBlock(to.identity).toString("base64");
    const name = `rescued.${to.identity.lineage}`;
    await this.#snapshot([to.datasetId, name, String(to.sizeBytes), source, block], call);
  }

  async discardPartial(datasetId: DatasetId, except: OpId | null, call: Call): Promise<void> {
    const found = await this.#found(datasetId, call);
    const live = found.find(({ kind }) => kind === "live");
    const args = [datasetId, except ?? "none", live?.sealedFor ?? "none"];
    const passed = passedBy(live, found).filter((name) => name !== `${except}.delta`);
    await this.#pool.run(discardPartialScript, [...args, ...passed], call);
    // It is done in passing: the next user of the dataset does not wait for a disk to be tidied.
    await this.#sweep(call, tidyMsMax);
  }

  async discard(datasetId: DatasetId, call: Call): Promise<void> {
    const live = (await this.#found(datasetId, call)).find(({ kind }) => kind === "live");
    const areas = ["copies", "receiving", "sent"];
    if (live !== undefined && live.sealedFor !== null) areas.push("live");
    await this.#pool.run(removeScript, [datasetId, ...areas], call);
    await this.#sweep(call);
  }

  async destroy(datasetId: DatasetId, call: Call): Promise<void> {
    await this.#pool.ensureAttached(call);
    const users = await findDirectoryUsers(this.livePath(datasetId), call);
    const [file] = users.files;
    if (file !== undefined || users.mounts.length > 0 || users.loops.length > 0) {
      throw new FlockerError(
        "VOLUME_BUSY",
        `The volume of dataset ${datasetId} is in use by ` +
          `${file === undefined ? (users.loops[0] ?? "a mount") : `process ${file.pid}`}.`,
      );
    }
    const areas = ["live", "copies", "receiving", "sent"];
    await this.#pool.run(removeScript, [datasetId, ...areas], call);
    await this.#sweep(call);
  }

  async [Symbol.asyncDispose](): Promise<void> {} // Volumes stay mounted when the agent ends.

  #expected(datasetId: DatasetId): { clusterId: ClusterId; datasetId: DatasetId } {
    return { clusterId: this.#clusterId, datasetId };
  }

  async #found(datasetId: DatasetId, call: Call): Promise<readonly Found[]> {
    return parseLook((await this.#pool.run(lookScript, [datasetId], call)).stdout);
  }

  /** The live volume of this lineage is there; another one in its place is `VOLUME_EXISTS`. */
  async #isMade({ datasetId, lineage }: Identity, call: Call): Promise<boolean> {
    const live = (await this.#found(datasetId, call)).find(({ kind }) => kind === "live");
    if (live === undefined) return false;
    const identity = ours(live.block, this.#expected(datasetId));
    const same = typeof identity !== "string" && identity.lineage === lineage;
    if (same && live.sealedFor === null) return true;
    throw new FlockerError("VOLUME_EXISTS", `Dataset ${datasetId} has another volume here.`);
  }

  async #reopen(datasetId: DatasetId, limit: string, call: Call): Promise<void> {
    const { notFound: gone, nested } = poolStatus;
    const args = [datasetId, `reopened.${randomUUID()}`, limit];
    const { status, stdout } = await this.#pool.run(reopenScript, args, call, [gone, nested]);
    if (status === gone) throw notFound(datasetId, "sealed volume");
    if (status === nested) throw nestedVolumes(datasetId, stdout);
  }

  async #snapshot(args: readonly string[], call: Call): Promise<void> {
    const { notFound: gone } = poolStatus;
    const { status } = await this.#pool.run(snapshotScript, args, call, [gone]);
    if (status === gone) {
      throw new FlockerError("VOLUME_NOT_FOUND", `There is no copy ${args[3] ?? ""} here.`);
    }
  }

  /**
   * Waits for the space of what was removed. It comes when nobody has anything of it open any more,
   * and of much data late: when the time is over it is not there yet, and is not counted as free.
   */
  async #sweep(call: Call, spaceMsMax = call.deadlineMs): Promise<void> {
    const { stdout } = await this.#pool.run(sweepScript, [], call);
    const ids = stdout.split("\n").filter((id) => /^\d+$/.test(id));
    if (ids.length === 0) return;
    const { path } = this.#pool;
    const { signal } = call;
    const deadlineMs = Math.min(call.deadlineMs, spaceMsMax);
    try {
      await exec("btrfs", ["subvolume", "sync", path, ...ids], { signal, deadlineMs });
    } catch (error) {
      if (!hasCode(error, "DEADLINE_EXCEEDED")) throw error;
      call.log.warn("pool.space_delayed", { path, subvolumes: ids.length });
    }
    const script = 'for id; do btrfs qgroup destroy "0/$id" . 2>/dev/null || :; done; sync -f .';
    await this.#pool.run(script, ids, call);
  }
}

/** A diverged copy of the newest generation, else the sealed volume, else a received copy. */
function sourceOfRescue(datasetId: DatasetId, found: readonly Found[]): string | null {
  const newest = (fits: (one: Found) => boolean): Found | undefined =>
    found.filter(fits).sort((a, b) => generationOf(b) - generationOf(a))[0];
  const diverged = newest(({ kind }) => kind === "diverged");
  if (diverged !== undefined) return `diverged/${datasetId}/${diverged.name}`;
  const sealed = newest(({ kind, sealedFor }) => kind === "live" && sealedFor !== null);
  if (sealed !== undefined) return `live/${datasetId}/${sealed.name}`;
  const received = newest(({ kind, name }) => kind === "copy" && name.endsWith(".delta"));
  return received === undefined ? null : `copies/${datasetId}/${received.name}/volume`;
}

/** Received copies that the live volume was made of, or came after, and was used since. */
function passedBy(live: Found | undefined, found: readonly Found[]): readonly string[] {
  if (live === undefined || live.sealedFor !== null) return [];
  return found
    .filter(({ kind, name }) => kind === "copy" && name.endsWith(".delta"))
    .filter((copy) => copy.block?.kind === "valid" && generationOf(copy) < generationOf(live))
    .map(({ name }) => name);
}

function generationOf({ block }: Found): number {
  return block?.kind === "valid" ? block.identity.generation : -1;
}

function notFound(datasetId: DatasetId, what: string): FlockerError {
  return new FlockerError("VOLUME_NOT_FOUND", `Dataset ${datasetId} has no ${what} here.`);
}
