import type { PluginAnswer } from "../../agent/core/plugin-call.ts";
import type { DatasetId, NodeId } from "../../domain/ids.ts";
import { type DatasetRecord, nameOf } from "../../domain/record.ts";
import type { NameEntry } from "../../protocol/agent-messages.ts";
import type { AgentProcess } from "./agent-process.ts";
import type { ControlProcess } from "./control-process.ts";
import type { StoreMedium } from "./store-medium.ts";
import type { World } from "./world.ts";

const requestMs = 130_000;
const abandonedGraceMs = [8_000, 25_000, 60_000];

type Told = { readonly dataset: DatasetId; readonly hosts: Map<string, number> };

/** Its connection leads to this control service. */
export function isWith(
  control: ControlProcess | null,
  agent: AgentProcess | null,
): agent is AgentProcess {
  const id = agent?.connection?.id;
  return id !== undefined && control?.connections.has(id) === true;
}

/** Says what happened, for the checkers: it looks at the world, never into a core. */
export class Witness {
  readonly #world: World;
  /**
   * Hosts that were connected when a name was acknowledged, or were told since that this very
   * dataset has it: what a slow connection still brings of an earlier one tells nothing.
   */
  readonly #told = new Map<string, Told>();
  readonly #last = new Map<DatasetId, DatasetRecord>();
  readonly #holder = new Map<DatasetId, NodeId>();
  /** When a node last had a reason to get a dataset: a Mount or an order. */
  readonly #requested = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  request(name: string, node: string): void {
    this.#requested.set(`${name} ${node}`, this.#world.context.nowMs);
  }

  created(dataset: DatasetId): void {
    const { context, hosts } = this.#world;
    const record = this.#world.medium.records.get(dataset) ?? this.#volatile(dataset);
    const name = record === undefined ? null : nameOf(record);
    if (name === null) return;
    const control = this.#world.control;
    // A session that the agent was not welcomed to yet is none: that host is still cut off.
    const live = hosts.filter(({ node, agent }) => {
      const session = control?.core.state.sessionOf(node)?.number ?? null;
      return (
        session !== null && isWith(control, agent) && agent.core.state.link?.session === session
      );
    });
    const hostsTold = new Map(live.map(({ node }) => [node, context.nowMs]));
    this.#told.set(name, { dataset, hosts: hostsTold });
    context.tell({ kind: "configuration_acknowledged", what: "created", dataset, name });
  }

  /** A record that was answered for before it is durable is one that only the process knows. */
  #volatile(dataset: DatasetId): DatasetRecord | undefined {
    return this.#world.control?.core.state.records.get(dataset);
  }

  /** Its memory was set back: who knows what it was told. */
  forgot(node: string): void {
    for (const { hosts } of this.#told.values()) hosts.delete(node);
  }

  namesHeard(node: string, entries: readonly NameEntry[]): void {
    for (const { name, datasetId } of entries) {
      const told = this.#told.get(name);
      if (told?.dataset !== datasetId || told.hosts.has(node)) continue;
      told.hosts.set(node, this.#world.context.nowMs);
    }
  }

  storeOpened(medium: StoreMedium): void {
    const records = [...medium.records.values()];
    const restored = medium.setBack || medium.readOnly !== null || medium.recovering;
    this.#world.context.tell({
      kind: "store_opened",
      live: new Set(records.filter((one) => one.deletion === null).map((one) => one.datasetId)),
      known: new Set(records.map((one) => one.datasetId)),
      restored,
    });
  }

  recovered(): void {
    this.#world.context.marks.hit("recovered");
  }

  recordDurable(record: DatasetRecord): void {
    const { context } = this.#world;
    const { datasetId, claim } = record;
    const before = this.#last.get(datasetId)?.claim ?? null;
    this.#last.set(datasetId, record);
    const undone = claim === null && before?.phase === "granted" ? before.before : null;
    if (undone?.orderedAtMs === record.orderedAtMs) context.marks.hit("wish declined");
    if (claim === null || claim.generation === before?.generation) return;
    this.#named(record, "store");
    this.#moved(record, claim.node);
    if (claim.before !== null) context.marks.hit("wish granted");
  }

  twinDurable(record: DatasetRecord): void {
    this.#named(record, "store");
  }

  #moved(record: DatasetRecord, to: NodeId): void {
    const { datasetId } = record;
    const { context } = this.#world;
    const from = this.#holder.get(datasetId);
    this.#holder.set(datasetId, to);
    const key = `${nameOf(record)} ${to}`;
    const askedAtMs = this.#requested.get(key) ?? -Infinity;
    // An order lasts; a Mount asks for as long as its engine waits, and a little for the way. What
    // rests where it is not ordered to be was taken there by a wish that has ended.
    const { claim, primary } = record;
    const asked =
      // Its name went to a younger one in a recovery; users who asked for it said that name.
      nameOf(record) === null ||
      (claim?.before === null && primary === to) ||
      context.nowMs - askedAtMs < requestMs ||
      this.#waits(record, to);
    if (from === undefined || from === to) return;
    context.marks.hit("volume moved");
    context.tell({ kind: "moved", dataset: datasetId, to, requested: asked });
  }

  /** A container of that host waits for its Mount at this instant. */
  #waits(record: DatasetRecord, node: NodeId): boolean {
    const name = nameOf(record);
    const containers = this.#world.host(node)?.engine.containers.values() ?? [];
    return [...containers].some(
      ({ volume, phase, mounting }) => volume === name && (phase === "waiting" || mounting),
    );
  }

  claimHeard(node: NodeId, record: DatasetRecord): void {
    if (record.claim?.node === node) this.#named(record, "agent");
    if (!record.superseded.includes(node)) return;
    this.#world.context.tell({ kind: "superseded_heard", dataset: record.datasetId, node });
  }

  #named(record: DatasetRecord, where: "store" | "agent"): void {
    const { claim, datasetId } = record;
    if (claim === null) return;
    this.#world.context.tell({
      kind: "claim_named",
      dataset: datasetId,
      generation: claim.generation,
      node: claim.node,
      era: claim.era,
      where,
      mountedOn: this.#world.mountedOn(datasetId),
    });
  }

  /** `askedMs`: a denial may have been decided at any time since. */
  getAnswered(node: string, name: string, answer: PluginAnswer, askedMs: number): void {
    const { context } = this.#world;
    const found = answer.kind === "volume";
    const neverHeard = (this.#told.get(name)?.hosts.get(node) ?? Infinity) >= askedMs;
    if (!found && neverHeard) context.marks.hit("get denied, name never heard here");
    context.tell({ kind: "get_answered", node, name, found, neverHeard });
  }

  gaveUp(node: string, mountId: string): void {
    const { context } = this.#world;
    const machine = this.#world.host(node)?.machine;
    const boot = machine?.bootId;
    for (const afterMs of abandonedGraceMs)
      machine?.strand.after(afterMs, () => {
        const host = this.#world.host(node);
        if (host?.machine.bootId !== boot || host?.agent?.strand.running !== true) return;
        const users = host.machine.run.file?.users ?? [];
        const counted = users.some(([, ids]) => ids.includes(mountId));
        context.tell({ kind: "abandoned_mount", node, mountId, counted });
      });
  }
}
