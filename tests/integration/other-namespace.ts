import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * A process with a mount namespace of its own, that has private copies of all mounts of this
 * moment, and `from` bound to `to`: like a container.
 */
export async function otherNamespace(
  from = "/tmp",
  to = from,
): Promise<AsyncDisposable & { readonly pid: number }> {
  const args = ["--mount", "--propagation", "private", "sh", "-euc", waiting, "sh", from, to];
  const child = spawn("unshare", args, { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(child, "close");
  await once(child.stdout, "data");
  return {
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

const waiting = 'mount --rbind "$1" "$2"; echo ready; read -r line || true';
