import { expect, test } from "vitest";
import type { DatasetView } from "../../src/protocol/api.ts";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

const cluster = useCluster({ purpose: "damage" });
const rest = new Rest(cluster);
const image = "flocker-demo:1";

type Written = { readonly name: string; readonly id: string; readonly file: string };

/** A dataset that a container wrote into, with its image on the storage. */
async function written(name: string): Promise<Written> {
  const write = `echo of-${name} >/data/file; sync /data/file`;
  const mount = `-v ${name}:/data --volume-driver flocker`;
  await cluster.run("h2", `docker volume create -d flocker -o size=64MiB --name ${name}`);
  await cluster.run("h2", `docker run --rm ${mount} ${image} bash -c '${write}'`);
  const { dataset_id: id } = await rest.view(name);
  return { name, id, file: await cluster.run("h1", `ls /san/flocker/volumes/${id}-*.img`) };
}

/** Says what the lists say of it, once they say something that waiting does not cure. */
async function refused({ name, id }: Written): Promise<readonly [string, string]> {
  let view: DatasetView = await rest.view(name);
  await cluster.eventually(`an error of ${name}, not ${JSON.stringify(view)}`, 30_000, async () => {
    view = await rest.view(name);
    return view.phase === "error";
  });
  const socket = "/run/docker/plugins/flocker/flocker.sock";
  const body = `{"Name":"${name}","ID":"x"}`;
  const mount = `curl -s -m 2 --unix-socket ${socket} -d '${body}' http://p/VolumeDriver.Mount`;
  expect(await cluster.run("h2", `${mount} || true`)).not.toContain("/flocker/");
  expect(await cluster.run("h2", `grep -c ${id} /proc/self/mountinfo || true`)).toBe("0");
  expect(await cluster.run("h1", `flockerctl ls | grep ${id}`)).toContain("error ❌");
  return [name, view.condition?.code ?? ""];
}

/** Overwrites the first megabytes of an image. */
const ruin = (from: string, file: string, megabytes: number): string =>
  `dd if=${from} of=${file} bs=1M count=${megabytes} conv=notrunc,fsync status=none`;

test("a volume that was swapped, overwritten, emptied or removed is told so and left as it is", async () => {
  const left = await written("left");
  const right = await written("right");
  const garbage = await written("garbage");
  const zeroed = await written("zeroed");
  const emptied = await written("emptied");
  const vanished = await written("vanished");
  const whole = await written("whole");
  await cluster.bed.crash("h2");

  const swap = `mv ${left.file} /san/x; mv ${right.file} ${left.file}; mv /san/x ${right.file}`;
  const wipe = `s=$(stat -c %s ${emptied.file}); truncate -s 0 ${emptied.file}; truncate -s $s ${emptied.file}`;
  await cluster.run(
    "h1",
    `${swap}
    ${ruin("/dev/urandom", garbage.file, 1)}
    ${ruin("/dev/zero", zeroed.file, 1)}
    ${wipe}
    mv ${vanished.file} /san/away.img`,
  );
  const damaged = [left, right, garbage, zeroed, emptied].map(({ file }) => file).join(" ");
  const before = await cluster.run("h1", `sha256sum ${damaged} /san/away.img`);
  await cluster.bed.boot("h2");
  await cluster.nodesConnected();

  const told = [];
  for (const one of [left, right, garbage, zeroed, emptied, vanished]) {
    told.push(await refused(one));
  }
  expect(told).toEqual([
    ["left", "IDENTITY_MISMATCH"],
    ["right", "IDENTITY_MISMATCH"],
    ["garbage", "IDENTITY_MISMATCH"],
    ["zeroed", "VOLUME_LOST_CONTENT"],
    ["emptied", "VOLUME_LOST_CONTENT"],
    ["vanished", "VOLUME_MISSING"],
  ]);
  expect(await cluster.run("h1", `sha256sum ${damaged} /san/away.img`)).toBe(before);
  expect(await cluster.run("h1", `ls ${vanished.file} 2>&1 || true`)).toContain("No such file");

  // Put right while nobody has it open, everything is there again; nobody has to tell the cluster.
  await cluster.bed.crash("h2");
  await cluster.run("h1", `${swap}; mv /san/away.img ${vanished.file}`);
  await cluster.bed.boot("h2");
  await cluster.nodesConnected();
  for (const { name } of [left, right, vanished, whole]) {
    const mount = `-v ${name}:/data --volume-driver flocker`;
    const read = `docker run --rm ${mount} ${image} cat /data/file`;
    expect(await cluster.run("h2", read)).toBe(`of-${name}`);
  }
});
