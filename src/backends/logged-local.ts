import type { LocalBackend } from "./local.ts";
import { logged } from "./logged-backend.ts";

/** The same backend, with every call at debug level; streams are left out of the arguments. */
export function logLocalCalls(backend: LocalBackend, driver: string): LocalBackend {
  const { capabilities, poolId, fileSystem } = backend;
  return {
    capabilities,
    poolId,
    fileSystem,
    usage: (call) => logged(call.log, [driver, "usage"], () => backend.usage(call)),
    list: (call) => logged(call.log, [driver, "list"], () => backend.list(call)),
    look: (id, call) => logged(call.log, [driver, "look", id], () => backend.look(id, call)),
    usedBytes: (id, call) =>
      logged(call.log, [driver, "usedBytes", id], () => backend.usedBytes(id, call)),
    create: (volume, call) =>
      logged(call.log, [driver, "create", volume], () => backend.create(volume, call)),
    livePath: (id) => backend.livePath(id),
    stamp: (identity, call) =>
      logged(call.log, [driver, "stamp", identity], () => backend.stamp(identity, call)),
    sync: (id, call) => logged(call.log, [driver, "sync", id], () => backend.sync(id, call)),
    seal: (at, call) => logged(call.log, [driver, "seal", at], () => backend.seal(at, call)),
    changedSinceSeal: (id, call) =>
      logged(call.log, [driver, "changedSinceSeal", id], () => backend.changedSinceSeal(id, call)),
    reopen: (volume, call) =>
      logged(call.log, [driver, "reopen", volume], () => backend.reopen(volume, call)),
    send: (stream, sink, call) =>
      logged(call.log, [driver, "send", stream], () => backend.send(stream, sink, call)),
    streamBytes: (stream, call) =>
      logged(call.log, [driver, "streamBytes", stream], () => backend.streamBytes(stream, call)),
    receive: (stream, source, call) =>
      logged(call.log, [driver, "receive", stream], () => backend.receive(stream, source, call)),
    accept: (stream, call) =>
      logged(call.log, [driver, "accept", stream], () => backend.accept(stream, call)),
    promote: (volume, call) =>
      logged(call.log, [driver, "promote", volume], () => backend.promote(volume, call)),
    diverge: (id, move, call) =>
      logged(call.log, [driver, "diverge", id, move], () => backend.diverge(id, move, call)),
    rescue: (from, to, call) =>
      logged(call.log, [driver, "rescue", from, to], () => backend.rescue(from, to, call)),
    discardPartial: (id, except, call) =>
      logged(call.log, [driver, "discardPartial", id, except], () =>
        backend.discardPartial(id, except, call),
      ),
    discard: (id, call) =>
      logged(call.log, [driver, "discard", id], () => backend.discard(id, call)),
    destroy: (id, call) =>
      logged(call.log, [driver, "destroy", id], () => backend.destroy(id, call)),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}
