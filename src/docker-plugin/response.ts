import { type PluginAnswer, type PluginCall, pluginErrors } from "../agent/core/plugin-call.ts";
import { unreachable } from "../lib/assert.ts";

export type ResponseBody = Readonly<Record<string, unknown>>;

/** The answer as the volume plugin API wants it; the status is 200 in any case. */
export function responseBody(kind: PluginCall["kind"], answer: PluginAnswer): ResponseBody {
  switch (answer.kind) {
    case "ok":
      return { Err: "" };
    case "mountpoint":
      return { Mountpoint: answer.mountpoint, Err: "" };
    case "volume": {
      const { name, mountpoint, createdAtMs, status } = answer.volume;
      // The engine shows the year 1 for what is left out, and refuses an empty text.
      const created =
        createdAtMs === null ? {} : { CreatedAt: new Date(createdAtMs).toISOString() };
      return {
        Volume: { Name: name, Mountpoint: mountpoint, ...created, Status: status },
        Err: "",
      };
    }
    case "volumes":
      return { Volumes: answer.volumes.toSorted(byMountpoint).map(listed), Err: "" };
    case "error":
      return errorBody(kind, answer.message);
    default:
      return unreachable(answer);
  }
}

/** Failed Mounts and Paths have a field more, as in Flocker 1.15. */
export function errorBody(kind: PluginCall["kind"], message: string): ResponseBody {
  const pathless = kind === "mount" || kind === "path";
  return pathless && message !== pluginErrors.notFound
    ? { Err: message, Mountpoint: "" }
    : { Err: message };
}

type Volumes = Extract<PluginAnswer, { readonly kind: "volumes" }>["volumes"];

function listed({ name, mountpoint }: Volumes[number]): ResponseBody {
  return { Name: name, Mountpoint: mountpoint };
}

/** The order of Flocker 1.15: those that are not shown on this node come first. */
function byMountpoint(a: Volumes[number], b: Volumes[number]): number {
  const [keyA, keyB] = [`${a.mountpoint}\0${a.name}`, `${b.mountpoint}\0${b.name}`];
  if (keyA === keyB) return 0;
  return keyA < keyB ? -1 : 1;
}
