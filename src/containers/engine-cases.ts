import { setTimeout as sleep } from "node:timers/promises";
import { assert } from "../lib/assert.ts";
import type { Engine, EngineAnswer, EngineContainer, EngineEvent } from "./engine.ts";

/** What a case does to the engine behind the port: by hand, not through the port. */
export interface EngineHands {
  /** A container that mounts the volumes (of our driver, by name) and binds the paths. */
  create(name: string, volumes: readonly string[], binds: readonly string[]): Promise<string>;
  /**
   * A container with this restart policy, whose start was tried and failed because its volume of
   * our driver cannot be mounted; `repair` makes it mountable.
   */
  createWaiting(
    name: string,
    restartPolicy: string,
  ): Promise<{ readonly id: string; readonly repair: () => Promise<void> }>;
  /** A volume of the engine's own driver; without a name the engine invents one. */
  createOwnVolume(name: string | null): Promise<void>;
  start(id: string): Promise<void>;
  kill(id: string): Promise<void>;
  remove(id: string): Promise<void>;
  stopEngine(): Promise<void>;
  startEngine(): Promise<void>;
}

export type EngineHarness = {
  readonly engine: Engine;
  readonly hands: EngineHands;
  /** `OurMounts.shownRoot`: cases make directories' names below it. */
  readonly shownRoot: string;
};

export type EngineCase = {
  /** A fact of the port's documentation. */
  readonly name: string;
  readonly run: (harness: EngineHarness) => Promise<void>;
};

const deadlineMs = 30_000;

/** A call that ends with the case. */
function call(): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.timeout(deadlineMs) };
}

function valueOf<T>(answer: EngineAnswer<T>): T {
  assert(answer.kind === "answered", `the engine is there: ${JSON.stringify(answer)}`);
  return answer.value;
}

function equal(actual: unknown, expected: unknown): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
  assert(is === should, `it is ${is} and should be ${should}`);
}

async function until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    assert(Date.now() < end, `${what} within ${deadlineMs} ms`);
    await sleep(20);
  }
}

async function named(engine: Engine, name: string): Promise<EngineContainer | undefined> {
  return valueOf(await engine.containers(call())).find((container) => container.name === name);
}

/** Watches for the length of `work`, which gets what was heard so far. */
async function watching(
  engine: Engine,
  work: (heard: readonly EngineEvent[]) => Promise<void>,
): Promise<void> {
  const heard: EngineEvent[] = [];
  const over = new AbortController();
  const watch = engine.watch((event) => heard.push(event), { signal: over.signal });
  try {
    await until("connected", () => heard.some(({ kind }) => kind === "connected"));
    await work(heard);
  } finally {
    over.abort();
    await watch;
  }
}

const listing: readonly EngineCase[] = [
  {
    name: "a container is listed with its volumes and paths, running or not",
    run: async ({ engine, hands, shownRoot }) => {
      const path = `${shownRoot}/one`;
      const id = await hands.create("c1", ["v2", "v1"], [path]);
      const created = { id, name: "c1", waits: false, volumes: ["v1", "v2"], paths: [path] };
      const seen = async (): Promise<unknown> => {
        const found = await named(engine, "c1");
        const { name, waits, volumes, paths, running } = found ?? {};
        return { id: found?.id, name, waits, volumes, paths, running };
      };
      equal(await seen(), { ...created, running: false });
      await hands.start(id);
      equal(await seen(), { ...created, running: true });
      await hands.kill(id);
      equal(await seen(), { ...created, running: false });
      await hands.remove(id);
      equal(await named(engine, "c1"), undefined);
    },
  },
  {
    name: "the root of what is shown is a path too, what merely begins like it is not",
    run: async ({ engine, hands, shownRoot }) => {
      const id = await hands.create("c2", [], [shownRoot, `${shownRoot}-not`]);
      equal((await named(engine, "c2"))?.paths, [shownRoot]);
      await hands.remove(id);
    },
  },
  {
    name: "a container is found by the first digits of its id, and by nothing else",
    run: async ({ engine, hands }) => {
      const id = await hands.create("c3", ["v1"], []);
      for (const prefix of [id, id.slice(0, 12)]) {
        const found = valueOf(await engine.container(prefix, call()));
        equal([found?.id, found?.name, found?.volumes], [id, "c3", ["v1"]]);
      }
      for (const prefix of ["c3", "", id.slice(0, 11), "0".repeat(64), `${id.slice(0, 12)}/x`]) {
        equal(valueOf(await engine.container(prefix, call())), null);
      }
      await hands.remove(id);
    },
  },
];

const waitingCases: readonly EngineCase[] = [
  {
    name: "a container waits for its volume if its policy says that it should run",
    run: async ({ engine, hands }) => {
      for (const policy of ["always", "unless-stopped", "on-failure", "no"]) {
        const { id } = await hands.createWaiting(`c-${policy}`, policy);
        const waits = policy === "always" || policy === "unless-stopped";
        equal((await named(engine, `c-${policy}`))?.waits, waits);
        equal(valueOf(await engine.container(id, call()))?.waits, waits);
        if (!waits) equal(valueOf(await engine.startWaiting(id, call())).kind, "not_waiting");
        await hands.remove(id);
        equal(valueOf(await engine.startWaiting(id, call())).kind, "not_waiting");
      }
    },
  },
  {
    name: "a container that waits is started, and says why when it cannot be",
    run: async ({ engine, hands }) => {
      const { id, repair } = await hands.createWaiting("c6", "always");
      const refused = valueOf(await engine.startWaiting(id, call()));
      assert(refused.kind === "failed" && refused.reason.length > 5, "it says why");
      equal((await named(engine, "c6"))?.waits, true);
      await repair();
      equal(valueOf(await engine.startWaiting(id, call())), { kind: "started" });
      const { running, waits } = (await named(engine, "c6")) ?? {};
      equal([running, waits], [true, false]);
      equal(valueOf(await engine.startWaiting(id, call())), { kind: "not_waiting" });
      await hands.remove(id);
    },
  },
  {
    name: "volumes of the engine's own are named, invented ones are not",
    run: async ({ engine, hands }) => {
      await hands.createOwnVolume("own");
      await hands.createOwnVolume(null);
      const names = valueOf(await engine.localVolumes(call()));
      assert(names.includes("own"), "it is named");
      equal(
        names.filter((name) => name.length === 64),
        [],
      );
    },
  },
];

const watchingCases: readonly EngineCase[] = [
  {
    name: "what happens to a container is told in order",
    run: ({ engine, hands }) =>
      watching(engine, async (heard) => {
        const id = await hands.create("c4", [], []);
        await hands.start(id);
        await hands.kill(id);
        await hands.remove(id);
        const told = (): readonly string[] =>
          heard.flatMap((event) =>
            event.kind === "container" && event.id === id ? [`${event.action} ${event.name}`] : [],
          );
        await until("destroyed", () => told().includes("destroy c4"));
        const order = ["create c4", "start c4", "die c4", "destroy c4"];
        equal([...new Set(told())], order);
      }),
  },
  {
    name: "an engine that is away is an answer, and it is watched again when it is back",
    run: ({ engine, hands }) =>
      watching(engine, async (heard) => {
        await hands.stopEngine();
        const kinds = (): readonly string[] => heard.map(({ kind }) => kind);
        await until("the loss is told", () => kinds().includes("disconnected"));
        const answers = [
          await engine.containers(call()),
          await engine.container("0".repeat(12), call()),
          await engine.loadDrivers(call()),
        ];
        for (const answer of answers) {
          const { kind, ...rest } = answer;
          assert(kind === "unavailable", "it is away");
          assert("reason" in rest && rest.reason.length > 5, "it says why");
        }
        await hands.startEngine();
        await until("connected again", () => kinds().at(-1) !== "disconnected");
        equal(kinds().filter((kind) => kind === "disconnected").length, 1);
        const id = await hands.create("c5", [], []);
        await until("the next event is told", () => {
          return heard.some((event) => event.kind === "container" && event.id === id);
        });
        await hands.remove(id);
      }),
  },
  {
    name: "a volume that is made is told",
    run: ({ engine, hands }) =>
      watching(engine, async (heard) => {
        await hands.createOwnVolume("told");
        await until("it is told", () => heard.some(({ kind }) => kind === "volume"));
      }),
  },
  {
    name: "an aborted signal rejects a question and ends a watch",
    run: async ({ engine }) => {
      const aborted = { signal: AbortSignal.abort() };
      const outcome = await engine.containers(aborted).then(
        () => "answered",
        () => "rejected",
      );
      equal(outcome, "rejected");
      await engine.watch(() => assert(false, "nothing is told"), aborted);
    },
  },
  {
    name: "loading the drivers names them",
    run: async ({ engine }) => {
      assert(valueOf(await engine.loadDrivers(call())).includes("local"), "local is one");
    },
  },
];

/** Run against each engine; they leave no container behind. */
export const engineCases: readonly EngineCase[] = [...listing, ...waitingCases, ...watchingCases];
