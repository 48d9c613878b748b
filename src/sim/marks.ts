/** Windows in which bugs of this kind live. One that no seed ever hits is a blind simulator. */
export const markNames = [
  "agent killed",
  "agent killed while a child works",
  "agent paused",
  "child outlived its agent",
  "observed busy child",
  "child hung",
  "node crashed",
  "node crashed with dirty pages",
  "node paused",
  "node rebooted",
  "node cloned",
  "node set back",
  "control killed",
  "control power cut inside group commit",
  "control paused",
  "control answered late",
  "wall clock jumped",
  "store went back",
  "store copy read-only",
  "store lost",
  "recovered",
  "connection dropped",
  "connection half open",
  "connection partitioned one way",
  "message of an older session",
  "commit stored, nobody told",
  "storage request late",
  "storage request duplicated",
  "storage answer lost",
  "storage request lost",
  "storage refused",
  "storage unreachable",
  "storage effect after its caller died",
  "storage list lagged",
  "forced detach landed",
  "engine killed",
  "engine killed with users",
  "mount abandoned",
  "mount answered late",
  "empty body retried",
  "container restarted in its gap",
  "container kept a private mount",
  "open file outlived its mount",
  "declared dead",
  "declared dead wrongly",
  "loss accepted",
  "superseded node cut",
  "node replaced",
  "orders toggled",
  "wish granted",
  "wish declined",
  "dataset deleted",
  "dataset destroyed",
  "name created again",
  "volume moved",
  "get denied, name never heard here",
  "mkfs interrupted",
  "fsync failed",
  "volume sealed",
  "written after the seal",
  "sealed volume reopened",
  "received copy promoted",
  "copy diverged",
  "copy rescued",
  "spare copy discarded",
  "local volume destroyed",
  "target pool full",
  "stream cut",
  "stream stalled",
  "stream's child outlived its agent",
] as const;

export type Mark = (typeof markNames)[number];

export class Marks {
  readonly counts = new Map<Mark, number>();

  /** Every mark with its count, those that were never hit too. */
  all(): readonly (readonly [Mark, number])[] {
    return markNames.map((name) => [name, this.counts.get(name) ?? 0]);
  }

  hit(mark: Mark): void {
    this.counts.set(mark, (this.counts.get(mark) ?? 0) + 1);
  }
}
