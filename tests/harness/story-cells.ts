import { type Cell, type CellResult, dieAt, failureOf } from "./crash-cells.ts";
import type { SteppedHosts } from "./stepped-hosts.ts";
import type { Scene, Story } from "./stories.ts";

let count = 0;

/** One cell of a story, with a dataset of its own. */
export async function runCell(hosts: SteppedHosts, story: Story, cell: Cell): Promise<CellResult> {
  const { ends } = story;
  count += 1;
  const begun: Scene = { hosts, ends, name: `story-${count}`, id: "", sum: "" };
  const begunMs = performance.now();
  let failure: string | null = null;
  try {
    const scene = await story.begin(begun);
    await dieAt(hosts, cell, ends, () => story.ask(scene));
    for (const host of Object.values(ends)) await hosts.goOn(host);
    await story.settled(scene);
    await remove(begun);
  } catch (error) {
    failure = await failureOf(hosts, `${cell.step}, ${cell.victim}`, begun.name, error);
    for (const host of Object.values(ends)) await hosts.goOn(host);
  }
  await hosts.connected();
  return { ...cell, seconds: (performance.now() - begunMs) / 1000, failure };
}

/** Each dataset that stays is mounted again after each power loss, which takes ever longer. */
async function remove({ hosts, name }: Scene): Promise<void> {
  const found = (await hosts.rest.views()).find((one) => one.name === name && !one.deleted);
  if (found !== undefined) await hosts.rest.purge(found.dataset_id);
}
