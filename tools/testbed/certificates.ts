import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { type BedPaths, hostPaths } from "./bed-paths.ts";
import type { HostRecord } from "./host-record.ts";

const deadlineMs = 60_000;

/** Makes the cluster's authority and the certificates of its control service and its user. */
export async function makeAuthority(bed: BedPaths): Promise<void> {
  if (existsSync(join(bed.certificates, "complete"))) return;
  mkdirSync(bed.certificates, { recursive: true, mode: 0o700 });
  await authority(bed, "initialize", "demo");
  const where = ["-i", bed.certificates, "-o", bed.certificates];
  await Promise.all([
    authority(bed, "create-control-certificate", "control-service", ...where),
    authority(bed, "create-api-certificate", "user", ...where),
  ]);
  writeFileSync(join(bed.certificates, "complete"), "");
}

/** Puts what `/etc/flocker` of a host holds where its first boot finds it. */
export async function seedHost(
  bed: BedPaths,
  host: HostRecord,
  defaultPool: DefaultPool,
): Promise<void> {
  const etc = join(hostPaths(bed, host.name).seed, "etc/flocker");
  mkdirSync(etc, { recursive: true }); // Copied over the host's own, modes included.
  const where = ["-i", bed.certificates, "-o", etc];
  const said = await authority(bed, "create-node-certificate", ...where);
  const id = /([0-9a-f-]{36})\.crt/.exec(said)?.[1];
  if (id === undefined) throw new Error(`flocker-ca named no certificate: ${said}`);
  const copies: readonly (readonly [from: string, to: string])[] = [
    [join(etc, `${id}.crt`), "node.crt"],
    [join(etc, `${id}.key`), "node.key"],
    ...["cluster.crt", "user.crt", "user.key"].map((name): readonly [string, string] => [
      join(bed.certificates, name),
      name,
    ]),
    ...(host.services.some(({ name }) => name === "control")
      ? ["crt", "key"].map((end): readonly [string, string] => [
          join(bed.certificates, `control-control-service.${end}`),
          `control-service.${end}`,
        ])
      : []),
  ];
  for (const [from, to] of copies) copyFileSync(from, join(etc, to));
  writeFileSync(join(etc, "agent.yml"), agentConfiguration(defaultPool));
}

export type DefaultPool = "loopback" | "btrfs";

function agentConfiguration(defaultPool: DefaultPool): string {
  const options = defaultPool === "loopback" ? "\n    root_path: /san/flocker" : "";
  return `version: 1
control-service:
  hostname: control-service
  port: 4524
pools:
  default:
    backend: ${defaultPool}${options}
  san:
    backend: loopback
    root_path: /san/volumes
`;
}

/** Runs `flocker-ca` as a person would, in the directory of the certificates. */
async function authority(bed: BedPaths, ...args: readonly string[]): Promise<string> {
  const program = join(bed.checkout, "bin/flocker-ca");
  const script = 'cd "$1" && shift && exec "$@"';
  const argv = ["-c", script, "sh", bed.certificates, program, ...args];
  return (await exec("sh", argv, { deadlineMs })).stdout;
}

/** The id of a host's node, as its certificate has it; for what looks from outside. */
export function certificateOf(bed: BedPaths, host: string): string {
  return readFileSync(join(hostPaths(bed, host).seed, "etc/flocker/node.crt"), "utf8");
}
