import { rmSync } from "node:fs";
import { type Server, type Socket, connect, createServer } from "node:net";

/** Stands between an engine and a plugin, and cuts the connection of one call, as a crash would. */
export class DroppingProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** The next request for this path is read, not answered, and its connection is closed. */
  dropNext: string | null = null;
  /** Every request, as it came. */
  readonly seen: string[] = [];

  private constructor(target: string) {
    this.#server = createServer((socket) => this.#pass(socket, connect(target)));
  }

  static async start(path: string, target: string): Promise<DroppingProxy> {
    const proxy = new DroppingProxy(target);
    rmSync(path, { force: true });
    await new Promise<void>((resolve) => {
      proxy.#server.listen(path, resolve);
    });
    return proxy;
  }

  #pass(socket: Socket, target: Socket): void {
    for (const end of [socket, target]) {
      this.#sockets.add(end);
      end.on("error", () => {});
      end.on("close", () => {
        this.#sockets.delete(end);
        socket.destroy();
        target.destroy();
      });
    }
    target.on("data", (chunk) => socket.write(chunk));
    socket.on("data", (chunk) => {
      const text = String(chunk);
      this.seen.push(text);
      if (this.dropNext !== null && text.includes(this.dropNext)) {
        this.dropNext = null;
        socket.destroy();
        return;
      }
      target.write(chunk);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}
