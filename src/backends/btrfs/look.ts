import { type DatasetId, type OpId, parseDatasetId, parseOpId } from "../../domain/ids.ts";
import type { ClusterId } from "../../domain/ids.ts";
import type { LocalCopy } from "../../domain/local-copy.ts";
import type { Identity } from "../../domain/volume.ts";
import { type Block, decodeBlock } from "../identity-block.ts";

/** A line of `lookScript`. */
export type Found = {
  readonly kind: "live" | "copy" | "partial" | "diverged";
  /** Of the subvolume of a live one, of the directory of a copy. */
  readonly name: string;
  readonly sealedFor: OpId | null;
  /** Null when it is no whole volume. */
  readonly block: Block | null;
};

export function parseLook(stdout: string): readonly Found[] {
  return stdout.split("\n").flatMap((line): readonly Found[] => {
    const [kind, name = "", seal = "-", base64 = "-"] = line.split("\t");
    if (kind !== "live" && kind !== "copy" && kind !== "partial" && kind !== "diverged") return [];
    const block = base64 === "-" ? null : decodeBlock(Buffer.from(base64, "base64"));
    return [{ kind, name, sealedFor: seal === "-" ? null : parseOpId(seal), block }];
  });
}

export type Expected = { readonly clusterId: ClusterId; readonly datasetId: DatasetId };

/** What was found, in the words of the port; what is damaged is not shown as a copy. */
export function copiesOf(found: readonly Found[], expected: Expected): readonly LocalCopy[] {
  return found.flatMap((one): readonly LocalCopy[] => {
    const identity = ours(one.block, expected);
    switch (one.kind) {
      case "live": {
        const { sealedFor: move } = one;
        if (typeof identity === "string") return [{ kind: "foreign", detail: identity }];
        return [move === null ? { kind: "live", identity } : { kind: "sealed", identity, move }];
      }
      case "copy": {
        const { move, stage } = parseName(one.name);
        if (stage === "base") return [{ kind: "base", move }];
        return typeof identity === "string"
          ? [{ kind: "partial", move }]
          : [{ kind: "received", identity, move }];
      }
      case "partial":
        return [{ kind: "partial", move: parseName(one.name).move }];
      case "diverged":
        return typeof identity === "string" ? [] : [{ kind: "diverged", identity }];
      default:
        return one.kind satisfies never;
    }
  });
}

/** Why it is not the expected dataset's, as a clause for people; or its identity. */
export function ours(block: Block | null, { clusterId, datasetId }: Expected): Identity | string {
  if (block === null) return "it is no volume of ours";
  if (block.kind !== "valid") return `its identity block is ${block.kind}`;
  const { identity } = block;
  if (identity.clusterId !== clusterId) {
    return `it belongs to another cluster (${identity.clusterId})`;
  }
  return identity.datasetId === datasetId
    ? identity
    : `it belongs to another dataset (${identity.datasetId})`;
}

function parseName(name: string): { readonly move: OpId; readonly stage: string } {
  const at = name.indexOf(".");
  return { move: parseOpId(name.slice(0, at)), stage: name.slice(at + 1) };
}

export function parseList(stdout: string): readonly DatasetId[] {
  return stdout.split("\n").flatMap((name) => {
    try {
      return [parseDatasetId(name)];
    } catch {
      return []; // Nothing that this driver ever made.
    }
  });
}
