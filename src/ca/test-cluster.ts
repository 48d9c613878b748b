import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createControlCredential,
  createNodeCredential,
  createUserCredential,
  initializeAuthority,
} from "./create-credential.ts";
import type { TlsFiles } from "./tls.ts";

/** The files of a cluster that lives as long as a test. */
export type TestCluster = AsyncDisposable & {
  readonly directory: string;
  readonly control: TlsFiles;
  readonly node: TlsFiles;
  readonly nodeId: string;
  readonly user: TlsFiles;
};

/** A new authority with a control certificate for 127.0.0.1, one of a node, one of user `user`. */
export async function makeTestCluster(nowMs: number = Date.now()): Promise<TestCluster> {
  const directory = await mkdtemp(join(tmpdir(), "flocker-test-cluster-"));
  const both = { input: directory, output: directory };
  const { certificate: authority } = await initializeAuthority(directory, "test", nowMs);
  const control = await createControlCredential(both, "127.0.0.1", nowMs);
  const node = await createNodeCredential(both, nowMs);
  const user = await createUserCredential(both, "user", nowMs);
  return {
    directory,
    control: { authority, certificate: control.certificate, key: control.key },
    node: { authority, certificate: node.certificate, key: node.key },
    nodeId: node.base,
    user: { authority, certificate: user.certificate, key: user.key },
    [Symbol.asyncDispose]: async () => rm(directory, { recursive: true, force: true }),
  };
}
