import type { DatasetView, NodeView, ProgressView } from "../../protocol/api.ts";
import { type CliContext, command, nonEmpty } from "../command.ts";
import { copyText, metadataText, percentOf, serverText, statusText } from "../dataset-text.ts";
import { selectDataset } from "../select.ts";

export const show = command({
  name: "show",
  summary: "Show all that is known of one dataset",
  examples: ["flockerctl show 5540d6e3", "flockerctl show shop", "flockerctl show shop --json"],
  args: {
    dataset: { kind: "positional", help: "Its name, or the beginning of its id", parse: nonEmpty },
  },
  async run({ dataset: prefix }, { output, connect }: CliContext) {
    const client = await connect();
    const [page, { nodes }] = await Promise.all([client.listAllDatasets(), client.listNodes()]);
    const found = selectDataset(page.datasets, prefix);
    const dataset = await client.dataset(found.dataset_id);
    output.answer(dataset, () => text(dataset, nodes));
  },
});

function text(dataset: DatasetView, nodes: readonly NodeView[]): string {
  const lines = [
    ...identityLines(dataset),
    ...placeLines(dataset, nodes),
    ...copyLines(dataset, nodes),
    ...conditionLines(dataset),
  ].filter(([, value]) => value !== "");
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join("");
}

type Line = readonly [name: string, value: string];

function identityLines(dataset: DatasetView): readonly Line[] {
  const { maximum_size: asked, size } = dataset;
  const askedFor = asked === null ? "none was asked for" : `${asked} were asked for`;
  return [
    ["dataset", dataset.dataset_id],
    ["name", dataset.name ?? ""],
    ["metadata", metadataText(dataset.metadata)],
    ["size", asked === size ? `${size} bytes` : `${size} bytes (${askedFor})`],
    ["pool", dataset.pool],
    ["file system", `${dataset.fs}${dataset.formatted ? "" : " (not made yet)"}`],
    ["reclaim", dataset.reclaim],
    ["deleted", dataset.deleted ? "yes" : ""],
    ["notice", dataset.notice ?? ""],
    ["revision", String(dataset.revision)],
  ];
}

function placeLines(dataset: DatasetView, nodes: readonly NodeView[]): readonly Line[] {
  const { claim, volume, op, users } = dataset;
  const at = (uuid: string | null): string => (uuid === null ? "" : serverText(uuid, nodes, true));
  return [
    ["status", statusText(dataset)],
    ["primary", at(dataset.primary)],
    ["on", at(dataset.node)],
    ["path", dataset.path ?? ""],
    ["claim", claim === null ? "" : `${claim.phase} ${claim.generation} of ${at(claim.node)}`],
    ["volume", volume.ref === null ? volume.kind : `${volume.kind} ${volume.ref}`],
    ["operation", op === null ? "" : `${op.kind} ${op.id} ${at(op.node)}`.trim()],
    ["used by", users.map(({ id, container }) => container ?? id).join(", ")],
  ];
}

function copyLines({ move, copies, from }: DatasetView, nodes: readonly NodeView[]): Line[] {
  const at = (uuid: string): string => serverText(uuid, nodes, true);
  const lines: Line[] = [];
  if (move !== null) {
    const { source, target, phase, progress } = move;
    lines.push(["move", `${phase} from ${at(source)} to ${at(target)} since ${move.since}`]);
    if (progress !== null) lines.push(["progress", progressText(progress)]);
  }
  for (const copy of copies) lines.push(["copy", `${copyText(copy)} on ${at(copy.node)}`]);
  if (from !== null) lines.push(["made of", `the copy of ${from.dataset_id} on ${at(from.node)}`]);
  return lines;
}

function progressText(progress: ProgressView): string {
  const { stage, bytes, total, bytes_per_second: rate, ends } = progress;
  const percent = percentOf(progress);
  const whole = percent === null || total === null ? "" : ` of about ${total} (${percent} %)`;
  const until = ends === null ? "" : `, until about ${ends}`;
  const what = stage === "base" ? "bulk" : "rest";
  return `${what}: ${bytes} bytes${whole}, ${rate} bytes/s${until}`;
}

function conditionLines({ condition }: DatasetView): readonly Line[] {
  if (condition === null) return [];
  const next = condition.next_retry === null ? "" : `, next attempt ${condition.next_retry}`;
  const tried = condition.attempt === 0 ? "" : `, attempt ${condition.attempt}`;
  return [
    ["condition", `${condition.code}: ${condition.message}`],
    ["since", `${condition.since}${tried}${next}`],
  ];
}
