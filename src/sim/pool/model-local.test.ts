import { randomUUID } from "node:crypto";
import type { Readable, Writable } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { localCases } from "../../backends/conformance/local-cases.ts";
import {
  type LocalBench,
  type Place,
  runLocalCase,
} from "../../backends/conformance/local-bench.ts";
import type { LocalBackend, StreamSum } from "../../backends/local.ts";
import { parseClusterId, parseDatasetId, parseNodeId, parseOpId } from "../../domain/ids.ts";
import { FlockerError } from "../../lib/errors.ts";
import { Marks } from "../marks.ts";
import { calm } from "../traits.ts";
import { Machine } from "../world/machine.ts";
import { Storage } from "../world/storage.ts";
import { noLog, WorldContext } from "../world/world-context.ts";
import { ModelLocal } from "./model-local.ts";
import { StreamIn, StreamOut } from "./stream-ends.ts";
import type { Subvolume } from "./subvolume.ts";
import { type Payload, Transfer } from "./transfer.ts";

type Send = Parameters<LocalBackend["send"]>[0];
type Receive = Parameters<LocalBackend["receive"]>[0];

/** Carries what the model's streams stand for over real ones, as the cases bring their own. */
class Streamed extends ModelLocal {
  #transfer(): Transfer {
    return new Transfer(this.machine.context, () => false);
  }

  override async send(stream: Send, sink: Writable): Promise<StreamSum> {
    const transfer = this.#transfer();
    const sent = super.send(stream, new StreamOut(transfer));
    const arrived = new Promise<Payload | null>((resolve) => transfer.receive(resolve));
    const sum = await sent;
    const payload = await arrived;
    const entries = [...(payload?.entries ?? [])];
    await pipeline([JSON.stringify({ ...payload, entries })], sink);
    return sum;
  }

  override async receive(stream: Receive, source: Readable): Promise<StreamSum> {
    const transfer = this.#transfer();
    const received = super.receive(stream, new StreamIn(transfer));
    received.catch(() => {});
    const { sizeBytes } = this.pool;
    if (sizeBytes - this.pool.usedBytes() < stream.reserveBytes) return received;
    const payload = await textOf(source).then(parsePayload, () => null);
    if (payload === null) transfer.cut();
    else transfer.send(payload, () => {});
    return received;
  }
}

function parsePayload(text: string): Payload | null {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `send` wrote
    const parsed = JSON.parse(text) as Payload & { readonly entries: readonly [string, number][] };
    return { ...parsed, entries: new Map(parsed.entries) };
  } catch {
    return null;
  }
}

/** Two machines whose virtual time passes for as long as a case runs. */
async function modelBench(): Promise<LocalBench & AsyncDisposable> {
  const context = new WorldContext({
    seed: 1,
    traits: { ...calm, bulkBytes: 0 },
    marks: new Marks(),
    watch: () => {},
    trace: null,
  });
  const storage = new Storage(context);
  const [machine, other] = [1, 2].map((index) => {
    const made = new Machine(context, storage, { node: parseNodeId(randomUUID()), index });
    made.powerOn();
    return made;
  });
  if (machine === undefined || other === undefined) throw new Error("two machines");
  const clusterId = parseClusterId(randomUUID());
  const open = (on: Machine): Streamed => {
    const around = { parent: on.strand, clusterId, heardControl: () => true, users: () => [] };
    return new Streamed(on, around);
  };
  const backend = open(machine);
  const machineOf = (at: Place): Machine =>
    at.backend.poolId === machine.pool.id ? machine : other;
  const volumeOf = (at: Place): Subvolume => {
    const { volume } = machineOf(at).pool.at(at.datasetId);
    if (volume === null) throw new Error(`no volume at ${at.datasetId}`);
    return volume;
  };
  const texts = new Texts();
  const bench = { ended: false };
  const pump = async (): Promise<void> => {
    while (!bench.ended) {
      const untilMs = context.nowMs + 100;
      while (context.clock.advance(untilMs));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const pumping = pump();
  return {
    backend,
    otherBackend: open(other),
    clusterId,
    call: { signal: new AbortController().signal, deadlineMs: 1000, log: noLog },
    newDatasetId: () => parseDatasetId(randomUUID()),
    newOp: () => parseOpId(randomUUID()),
    openAgain: async () => open(machine),
    losePool: async () => {
      machine.pool.missing = true;
      return {
        [Symbol.asyncDispose]: async () => {
          machine.pool.missing = false;
        },
      };
    },
    files: {
      write: async (at, name, text) => {
        const volume = volumeOf(at);
        if (volume.sealedFor !== null) throw new FlockerError("COMMAND_FAILED", "read-only");
        texts.write(volume, name, text);
      },
      read: async (at, name) => texts.read(volumeOf(at), name),
      names: async (at) => [...volumeOf(at).entries.keys()],
      mode: async () => 0o777,
      fill: async (at, bytes) => texts.fill(volumeOf(at), bytes),
      hold: async (at, writes) => {
        const { kernel, strand } = machineOf(at);
        const volume = volumeOf(at);
        const superblock = kernel.bind(at.datasetId, volume);
        superblock.users.add("file:1");
        kernel.drop(superblock, "volume");
        texts.write(volume, "held", "opened");
        const again = (): void => {
          if (superblock.users.size === 0) return;
          volume.changes += 1;
          strand.after(1, again);
        };
        if (writes) again();
        return {
          write: async (text) => texts.write(volume, "held", text),
          [Symbol.asyncDispose]: async () => kernel.drop(superblock, "file:1"),
        };
      },
    },
    [Symbol.asyncDispose]: async () => {
      bench.ended = true;
      await pumping;
    },
  };
}

/** The model's volumes hold numbers; here they stand for texts, and bulk for their bytes. */
class Texts {
  readonly #all: string[] = [];

  write(volume: Subvolume, name: string, text: string): void {
    volume.write(name, this.#all.push(text) - 1);
    volume.bulkBytes += text.length;
  }

  read(volume: Subvolume, name: string): string | null {
    return this.#all[volume.entries.get(name) ?? -1] ?? null;
  }

  fill(volume: Subvolume, bytes: number): number {
    const taken = Math.min(bytes, (volume.limitBytes ?? Infinity) - volume.bulkBytes);
    volume.bulkBytes += taken;
    volume.changes += 1;
    return taken;
  }
}

describe("conformance of the simulator's local pools", () => {
  test.each(localCases)("$name", async (item) => {
    await expect(runLocalCase(item, modelBench)).resolves.toBeUndefined();
  });
});
