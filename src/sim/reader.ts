import { datasetCondition } from "../control/conditions/dataset-condition.ts";
import type { DatasetId } from "../domain/ids.ts";
import type { DatasetRecord } from "../domain/record.ts";
import { isWith } from "./world/witness.ts";
import type { Host, World } from "./world/world.ts";
import type { WorldEvent } from "./world/world-event.ts";

type Read = Extract<WorldEvent, { readonly kind: "condition_read" }>;

const everyMs = 500;

/** A person who asks for the conditions all the time, and looks at the machines beside. */
export class Reader {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  begin(): void {
    this.#world.context.clock.after(everyMs, () => {
      this.#read();
      this.begin();
    });
  }

  #read(): void {
    const { control } = this.#world;
    if (control?.strand.running !== true) return;
    const { state } = control.core;
    // A doubted store tells the nodes nothing of who waits, and says so in front of all else.
    if (state.mode.kind !== "normal") return;
    for (const record of state.records.values()) {
      const message = datasetCondition(state, record, control.nowMs)?.message ?? "";
      const host = this.#spokenOf(record, message);
      if (host === undefined) continue;
      for (const says of sentencesOf(message)) this.#tell(record.datasetId, host, says);
    }
  }

  #tell(dataset: DatasetId, host: Host, says: Read["says"]): void {
    const { context, storage } = this.#world;
    const volume = storage.live().find((one) => one.dataset === dataset);
    context.tell({
      kind: "condition_read",
      dataset,
      node: host.node,
      says,
      holders: holdersOn(host, dataset),
      attachedTo: volume?.attachment?.node ?? null,
      heard: this.#isSound(host) && (says.kind === "attached" || isQuiet(host, dataset)),
    });
  }

  /** Whom a sentence without a node's name is taken for: who works on the dataset. */
  #spokenOf({ op, claim, move, residue }: DatasetRecord, message: string): Host | undefined {
    const named = /\b[Ww]aiting for node ([0-9a-f]{8})/.exec(message)?.[1];
    const { hosts } = this.#world;
    if (named !== undefined) return hosts.find(({ node }) => node.startsWith(named));
    const node = op?.executor?.node ?? claim?.node ?? move?.source ?? residue;
    return hosts.find((host) => host.node === node);
  }

  /** What a machine says that was set back is of another time, until it was rebooted. */
  #isSound(host: Host): boolean {
    return !host.machine.isSetBack && this.#isConnected(host);
  }

  #isConnected({ node, machine, agent }: Host): boolean {
    const { control, network } = this.#world;
    if (!isWith(control, agent)) return false;
    const session = control?.core.state.sessionOf(node)?.number ?? null;
    const running = !machine.stopped && agent.strand.running;
    if (!running || session === null || !network.reachable(node)) return false;
    return agent.core.state.link?.session === session;
  }
}

/** Nothing is on its way to or from its agent, and no step keeps that from looking. */
function isQuiet({ machine, agent }: Host, dataset: DatasetId): boolean {
  const connection = agent?.connection ?? null;
  const idle = connection?.toControl.idle === true && connection.toAgent.idle;
  return idle && !machine.busy(dataset);
}

function holdersOn({ machine, engine }: Host, dataset: DatasetId): Read["holders"] {
  const open = machine.powered ? machine.kernel.open(dataset) : [];
  const holders = open.flatMap(({ users }) => [...users]).filter((user) => user.includes(":"));
  const users = engine.users(dataset);
  return [
    ...holders.map((name) => ({ name, isUser: false })),
    ...users.map((name) => ({ name: `user:${name}`, isUser: true })),
  ];
}

function sentencesOf(message: string): readonly Read["says"][] {
  if (message.includes("nothing uses it there any more")) return [{ kind: "unused" }];
  const to = /the storage shows .*attached to (?:node )?([0-9a-f-]{36})/i.exec(message)?.[1];
  if (to !== undefined) return [{ kind: "attached", to }];
  const held = /\bheld by (.*)$/.exec(message)?.[1] ?? "";
  const containers = [...held.matchAll(/\bc\d+-\d+[-\w]*/g)].map(([id]) => `container:${id}`);
  const process = /\bprocess \d+/.test(held) ? ["file:"] : [];
  return [...containers, ...process].map((by) => ({ kind: "held", by }));
}
