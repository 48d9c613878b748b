import { X509Certificate, createPrivateKey, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exec } from "../lib/exec.ts";
import { type Fields, type Logger, silentLogger } from "../lib/log.ts";
import { createUserCredential } from "./create-credential.ts";
import { onlyRole } from "./only-role.ts";
import { type TestCluster, makeTestCluster } from "./test-cluster.ts";
import { type TlsFiles, clientTls, loadTls, serverTls } from "./tls.ts";

let cluster: TestCluster;
let other: TestCluster;

beforeAll(async () => {
  cluster = await makeTestCluster();
  other = await makeTestCluster();
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

type Entry = { readonly event: string; readonly fields: Fields };
type Served = AsyncDisposable & {
  readonly port: number;
  readonly entries: readonly Entry[];
  readonly requests: () => number;
};

async function serve(role: "user" | "node", control: TlsFiles = cluster.control): Promise<Served> {
  const entries: Entry[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (event, fields = {}) => void entries.push({ event, fields }),
  };
  let requests = 0;
  const credentials = await loadTls(control, "control");
  const minVersion = role === "user" ? "TLSv1.2" : "TLSv1.3";
  const server = createServer(serverTls(credentials, minVersion), (_, response) => {
    requests += 1;
    response.end("hello");
  });
  onlyRole(server, role, log);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    entries,
    requests: () => requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const versions = { user: ["TLSv1.2", "TLSv1.3"], node: ["TLSv1.3"] } as const;

type Refused = {
  readonly who: string;
  readonly with: "user" | "node" | "control" | "foreign" | null;
  readonly on: "user" | "node";
  readonly reason: RegExp;
};

async function identityFor(who: Refused["with"]): Promise<{ cert?: string; key?: string }> {
  if (who === null) return {};
  const { cert, key } =
    who === "foreign" ? await loadTls(other.user, "user") : await loadTls(cluster[who], who);
  return { cert, key };
}

function get(port: number, tls: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port, agent: false, ...tls }, (response) => {
      response.on("data", (chunk: Buffer) => resolve(`${response.statusCode} ${String(chunk)}`));
    });
    call.on("error", reject);
    call.end();
  });
}

describe("a port takes one role only", () => {
  test.each<["user" | "node", "TLSv1.2" | "TLSv1.3"]>([
    ["user", "TLSv1.3"],
    ["user", "TLSv1.2"],
    ["node", "TLSv1.3"],
  ])("a %s on its own port is served with %s", async (role, maxVersion) => {
    await using server = await serve(role);
    const tls = clientTls(await loadTls(cluster[role], role), "TLSv1.2");

    expect(await get(server.port, { ...tls, maxVersion })).toBe("200 hello");
    expect(server.entries).toEqual([]);
  });

  test("agents speak TLS 1.3 or nothing", async () => {
    await using server = await serve("node");
    const tls = clientTls(await loadTls(cluster.node, "node"), "TLSv1.2");

    await expect(get(server.port, { ...tls, maxVersion: "TLSv1.2" })).rejects.toThrow("protocol");
  });

  const closed = /hang up|ECONNRESET|alert|disconnected|EPIPE/;

  test.each<Refused>([
    { who: "a user", with: "user", on: "node", reason: /^the certificate of user user; this/ },
    { who: "a node", with: "node", on: "user", reason: /^the certificate of node .* user cert/ },
    { who: "the control service", with: "control", on: "user", reason: /INVALID_PURPOSE/ },
    { who: "the control service", with: "control", on: "node", reason: /INVALID_PURPOSE/ },
    { who: "another cluster", with: "foreign", on: "user", reason: /ISSUER|SIGNATURE|VERIFY/ },
    { who: "another cluster", with: "foreign", on: "node", reason: /ISSUER|SIGNATURE|VERIFY/ },
    { who: "nobody", with: null, on: "user", reason: /did not return a certificate/ },
    { who: "nobody", with: null, on: "node", reason: /did not return a certificate/ },
  ])("$who on the $on port is closed unanswered, with one log line", async (row) => {
    for (const maxVersion of versions[row.on]) {
      await using server = await serve(row.on);
      const { ca } = await loadTls(cluster.user, "user");
      const tls = { ca, servername: "control-service", ...(await identityFor(row.with)) };

      await expect(get(server.port, { ...tls, maxVersion })).rejects.toThrow(closed);
      await expect.poll(() => server.entries.length).toBe(1);
      expect(server.entries[0]?.event).toBe("connection.refused");
      expect(server.entries[0]?.fields["reason"]).toMatch(row.reason);
      expect(server.requests()).toBe(0);
    }
  });

  test("a server of another name is not talked to", async () => {
    await using server = await serve("user");
    const tls = clientTls(await loadTls(cluster.user, "user"), "TLSv1.2");

    const call = get(server.port, { ...tls, servername: "somebody-else" });

    await expect(call).rejects.toThrow("altnames");
  });
});

describe("files made by Flocker 1.15: RSA, encoded as version 1, with extensions", () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "flocker-original-"));
    await writeFile(join(directory, "ca.cnf"), configuration);
    await makeLeaf("cluster", "old cluster", "authority");
    await makeLeaf("control", "control-service", "control");
    await makeLeaf("node", "node-f0a1b2c3-d4e5-4f60-8a7b-9c0d1e2f3a4b", "node");
    await makeLeaf("user", "user-old", "user");
  }, 60_000);
  afterAll(async () => rm(directory, { recursive: true, force: true }));

  test("serve both ports as they are", async () => {
    await using rest = await serve("user", filesOf("control"));
    await using agents = await serve("node", filesOf("control"));

    const user = clientTls(await loadTls(filesOf("user"), "user"), "TLSv1.2");
    const node = clientTls(await loadTls(filesOf("node"), "node"), "TLSv1.2");

    expect(await get(rest.port, user)).toBe("200 hello");
    expect(await get(agents.port, node)).toBe("200 hello");
    await expect(get(agents.port, user)).rejects.toThrow(/hang up|ECONNRESET/);
  });

  test("their authority signs new certificates", async () => {
    const both = { input: directory, output: directory };
    const created = await createUserCredential(both, "new", Date.now());
    await using rest = await serve("user", filesOf("control"));

    const { authority } = filesOf("user");
    const loaded = await loadTls({ authority, ...created }, "user");

    expect(loaded.cluster).toBe("8f3a5c1e-5b0a-4c55-9d8e-3a7b4c1d2e3f");
    expect(await get(rest.port, clientTls(loaded, "TLSv1.2"))).toBe("200 hello");
  });

  function filesOf(name: string): TlsFiles {
    const base = join(directory, name);
    const authority = join(directory, "cluster.crt");
    return { authority, certificate: `${base}.crt`, key: `${base}.key` };
  }

  const configuration = `[req]
distinguished_name=dn
prompt=no
[dn]
OU=8f3a5c1e-5b0a-4c55-9d8e-3a7b4c1d2e3f
[authority]
basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[control]
subjectAltName=DNS:control-service,IP:127.0.0.1
[node]
subjectKeyIdentifier=hash
[user]
extendedKeyUsage=clientAuth
`;

  /** RSA 2048 instead of 4096, for the sake of time. */
  async function makeLeaf(file: string, name: string, section: string): Promise<void> {
    const { authority, certificate, key } = filesOf(file);
    const signerKey = filesOf("cluster").key;
    const signer = file === "cluster" ? [] : ["-CA", authority, "-CAkey", signerKey];
    const subject = `/OU=8f3a5c1e-5b0a-4c55-9d8e-3a7b4c1d2e3f/CN=${name}`;
    const words = "req -x509 -newkey rsa:2048 -nodes -sha256 -days 7300".split(" ");
    const paths = ["-config", join(directory, "ca.cnf"), "-keyout", key, "-out", certificate];
    await exec(
      "openssl",
      [...words, "-subj", subject, "-extensions", section, ...paths, ...signer],
      {
        deadlineMs: 30_000,
      },
    );
    const version3 = new X509Certificate(await readFile(certificate)).raw;
    const version1 = asVersion1(version3, await readFile(signerKey, "utf8"));
    await writeFile(certificate, pem(version1));
    const { stdout } = await exec("openssl", ["x509", "-noout", "-text", "-in", certificate], {
      deadlineMs: 10_000,
    });
    expect(stdout).toMatch(/Version: 1 .*X509v3 extensions/s);
  }
});

function pem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

/** The same certificate without the field that says version 3, signed anew. */
function asVersion1(der: Buffer, signerKey: string): Buffer {
  const [signed, algorithm] = children(der);
  const fields = children(signed ?? der).slice(1);
  const content = sequence(fields);
  const signature = sign("sha256", content, createPrivateKey(signerKey));
  const bits = element(0x03, Buffer.concat([Buffer.from([0]), signature]));
  return sequence([content, algorithm ?? Buffer.alloc(0), bits]);
}

function sequence(parts: readonly Buffer[]): Buffer {
  return element(0x30, Buffer.concat(parts));
}

function element(tag: number, content: Buffer): Buffer {
  const size = content.length;
  const length = size < 128 ? [size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

/** The elements inside a DER element, each with its header. */
function children(der: Buffer): Buffer[] {
  const found: Buffer[] = [];
  let at = headerBytes(der, 0);
  while (at < der.length) {
    const end = at + headerBytes(der, at) + contentBytes(der, at);
    found.push(der.subarray(at, end));
    at = end;
  }
  return found;
}

function headerBytes(der: Buffer, at: number): number {
  const first = der.readUInt8(at + 1);
  return first < 128 ? 2 : 2 + (first & 0x7f);
}

function contentBytes(der: Buffer, at: number): number {
  const first = der.readUInt8(at + 1);
  return first < 128 ? first : der.readUIntBE(at + 2, first & 0x7f);
}
