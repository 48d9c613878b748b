import { createReadStream, existsSync } from "node:fs";
import { request } from "node:http";
import { type BedPaths } from "./bed-paths.ts";
import { execIn, fileIn } from "./host.ts";
import { imageName, imageTar } from "./image.ts";
import { until } from "./linux/until.ts";

/** Waits until the Docker Engine of a host answers. */
export async function engineReady(bed: BedPaths, host: string): Promise<void> {
  try {
    await until(`the Docker Engine of ${host}`, 180_000, async () => {
      return (await call(bed, host, { method: "GET", path: "/_ping" })) === 200;
    });
  } catch (error) {
    const { stdout } = await execIn(bed, host, ["tail", "-n", "5", "/var/log/dockerd.log"]);
    throw new Error(`the Docker Engine of ${host} does not start:\n${stdout}`, { cause: error });
  }
}

/** What the image runs when it is told nothing: a redis that keeps every write. */
const redis = [
  "redis-server",
  "--dir",
  "/data",
  "--appendonly",
  "yes",
  "--appendfsync",
  "always",
  "--save",
  "",
  "--protected-mode",
  "no",
];

/** Gives the engine the demo's image, when there is one and the engine has it not yet. */
export async function importImage(bed: BedPaths, host: string): Promise<void> {
  const tar = imageTar(bed);
  if (!existsSync(tar)) return;
  const known = await call(bed, host, { method: "GET", path: `/images/${imageName}/json` });
  if (known === 200) return;
  const [repository = "", tag = ""] = imageName.split(":");
  const command = `CMD ${JSON.stringify(redis)}`;
  const query = new URLSearchParams({ fromSrc: "-", repo: repository, tag, changes: command });
  const path = `/images/create?${query.toString()}`;
  const status = await call(bed, host, { method: "POST", path, bodyFile: tar });
  if (status !== 200) throw new Error(`${host}: the engine refused the image (${status})`);
  // The engine does not sync what it unpacks: after a power loss the image would be in pieces.
  await execIn(bed, host, ["sync", "-f", "/var/lib/docker"]);
}

type EngineRequest = {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly bodyFile?: string;
};

/** One request to the engine's socket; resolves with the status when the answer has ended. */
function call(
  bed: BedPaths,
  host: string,
  { method, path, bodyFile }: EngineRequest,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: fileIn(bed, host, "/run/docker.sock"), method, path });
    outgoing.setTimeout(120_000, () => outgoing.destroy(new Error("no answer in 120 s")));
    outgoing.on("error", reject);
    outgoing.on("response", (answer) => {
      answer.on("error", reject);
      answer.on("end", () => resolve(answer.statusCode ?? 0));
      answer.resume();
    });
    if (bodyFile === undefined) outgoing.end();
    else createReadStream(bodyFile).on("error", reject).pipe(outgoing);
  });
}
