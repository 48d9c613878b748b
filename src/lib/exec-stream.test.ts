import { createHash, randomBytes } from "node:crypto";
import { PassThrough, Readable, Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { type StreamOptions, execStream } from "./exec-stream.ts";

const options = { signal: new AbortController().signal, idleMsMax: 20_000 };

function shell(script: string, rest: Partial<StreamOptions> & Pick<StreamOptions, "through">) {
  return execStream("sh", ["-euc", script], { ...options, ...rest });
}

describe("a program whose output is a stream of ours", () => {
  test("passes every byte, ends the sink, and tells length and digest", async () => {
    const sink = new PassThrough();
    const received = buffer(sink);

    const sum = await execStream("head", ["-c", "3000000", "/dev/zero"], {
      ...options,
      through: { sink },
    });

    const content = await received;
    expect(content.length).toBe(3_000_000);
    const digest = createHash("sha256").update(content).digest("hex");
    expect(sum).toEqual({ bytes: 3_000_000, digest });
  });

  test("is not ended by a program that failed: the other end sees it break", async () => {
    const sink = new PassThrough();
    const received = Promise.allSettled([buffer(sink)]);

    await expect(shell("echo half; echo no >&2; exit 3", { through: { sink } })).rejects.toThrow(
      "sh ended with status 3: no",
    );

    expect(await received).toMatchObject([{ status: "rejected" }]);
  });

  test("is killed when the sink breaks", async () => {
    const sink = new Writable({ write: (_chunk, _encoding, done) => done(new Error("cut off")) });

    await expect(
      execStream("cat", ["/dev/zero"], { ...options, through: { sink } }),
    ).rejects.toThrow("cut off");
  });

  test("is killed when no byte passed for the idle limit, and not while some do", async () => {
    const sink = new PassThrough();
    sink.resume();

    await expect(
      shell("exec sleep 60", { idleMsMax: 100, through: { sink } }),
    ).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });

    const slow = new PassThrough();
    const received = buffer(slow);
    const script = "for i in 1 2 3 4 5 6; do sleep 0.2; echo $i; done";
    await shell(script, { idleMsMax: 1000, through: { sink: slow } });
    expect((await received).toString("utf8")).toBe("1\n2\n3\n4\n5\n6\n");
  });

  test("is killed when it is aborted, with the reason of that", async () => {
    const controller = new AbortController();
    const sink = new Writable({
      write: (_chunk, _encoding, done) => {
        controller.abort(new Error("enough"));
        done();
      },
    });

    await expect(
      execStream("cat", ["/dev/zero"], {
        ...options,
        signal: controller.signal,
        through: { sink },
      }),
    ).rejects.toThrow("enough");
  });
});

describe("a program whose input is a stream of ours", () => {
  test("gets every byte; length and digest are those of what it got", async () => {
    const content = randomBytes(200_000);
    const digest = createHash("sha256").update(content).digest("hex");

    const sum = await shell(`test "$(sha256sum | cut -c 1-64)" = ${digest}`, {
      through: { source: Readable.from([content.subarray(0, 7), content.subarray(7)]) },
    });

    expect(sum).toEqual({ bytes: content.length, digest });
  });

  test("is killed when the stream breaks", async () => {
    const source = new PassThrough();
    source.write("half");
    setImmediate(() => source.destroy(new Error("peer is gone")));

    await expect(shell("cat > /dev/null", { through: { source } })).rejects.toThrow("peer is gone");
  });

  test("says itself why it did not read on, and the stream is destroyed", async () => {
    const source = new PassThrough();
    source.write(Buffer.alloc(1 << 20));

    await expect(shell("echo full >&2; exit 5", { through: { source } })).rejects.toThrow(
      "sh ended with status 5: full",
    );

    expect(source.destroyed).toBe(true);
  });

  test("that is missing is TOOL_MISSING", async () => {
    const source = Readable.from(["x"]);

    await expect(
      execStream("/no/such/program", [], { ...options, through: { source } }),
    ).rejects.toMatchObject({ code: "TOOL_MISSING" });
  });
});
