import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { AttachableBackend } from "./attachable.ts";

/**
 * The same backend, with every call at debug level: arguments, duration, result. With it the author
 * of a driver can follow what the agent asked and got, without reading the agent.
 */
export function logCalls(backend: AttachableBackend, driver: string): AttachableBackend {
  const { capabilities } = backend;
  return {
    capabilities,
    list: (call) => logged(call.log, [driver, "list"], () => backend.list(call)),
    find: (datasetId, call) =>
      logged(call.log, [driver, "find", datasetId], () => backend.find(datasetId, call)),
    create: (volume, call) =>
      logged(call.log, [driver, "create", volume], () => backend.create(volume, call)),
    attach: (ref, to, call) =>
      logged(call.log, [driver, "attach", ref, to], () => backend.attach(ref, to, call)),
    device: (ref, on, call) =>
      logged(call.log, [driver, "device", ref, on], () => backend.device(ref, on, call)),
    detach: (ref, node, call) =>
      logged(call.log, [driver, "detach", ref, node], () => backend.detach(ref, node, call)),
    forceDetach: (ref, target, call) =>
      logged(call.log, [driver, "forceDetach", ref, target], () =>
        backend.forceDetach(ref, target, call),
      ),
    destroy: (ref, datasetId, call) =>
      logged(call.log, [driver, "destroy", ref, datasetId], () =>
        backend.destroy(ref, datasetId, call),
      ),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

/** One line for the call: arguments, duration, and result or error. */
export async function logged<Result>(
  log: Logger,
  [driver, operation, ...args]: readonly [string, string, ...unknown[]],
  run: () => Promise<Result>,
): Promise<Result> {
  const begunMs = performance.now();
  const fields = { driver, operation, args };
  const durationMs = (): number => Math.round(performance.now() - begunMs);
  try {
    const result = await run();
    log.debug("driver.call_completed", { ...fields, durationMs: durationMs(), result });
    return result;
  } catch (error) {
    log.debug("driver.call_failed", { ...fields, durationMs: durationMs(), err: messageOf(error) });
    throw error;
  }
}
