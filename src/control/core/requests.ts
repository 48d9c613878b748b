import {
  type AgentMessage,
  type Answer,
  type CreateOptions,
} from "../../protocol/agent-messages.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import { FlockerError } from "../../lib/errors.ts";
import { unreachable } from "../../lib/assert.ts";
import type { CoreState } from "./core-state.ts";
import { assertWritable, createDataset } from "./create.ts";
import { removeByName } from "./removal.ts";
import type { Session } from "./state.ts";

type RequestMessage = Extract<AgentMessage, { readonly kind: "request" }>;

/** Requests of a node's Docker plugin; the answer leaves after what it says is durable. */
export function answerRequest(
  state: CoreState,
  session: Session,
  { id, request }: RequestMessage,
  nowMs: number,
): void {
  const reply = (answer: Answer): void =>
    state.send(session.connection, { kind: "answer", id, answer });
  try {
    switch (request.kind) {
      case "lookup":
        return reply(entryOf(state, request.name));
      case "remove":
        return reply(removeByName(state, session, request, nowMs));
      case "create":
        return create(state, session, { id, ...request }, nowMs);
      default:
        return unreachable(request);
    }
  } catch (error) {
    if (!(error instanceof FlockerError)) throw error;
    return reply({ kind: "error", code: error.code, message: error.message });
  }
}

function entryOf(state: CoreState, name: string): Answer {
  const datasetId = state.names.get(name);
  // A doubted store may lack a name that was acknowledged: it cannot deny one.
  if (datasetId === undefined) assertWritable(state);
  return {
    kind: "ok",
    entry: datasetId === undefined ? null : { name, datasetId },
    notice: null,
  };
}

function create(
  state: CoreState,
  session: Session,
  request: { readonly id: number; readonly name: string; readonly options: CreateOptions },
  nowMs: number,
): void {
  const { id, name, options } = request;
  const existing = state.names.get(name);
  const known = existing === undefined ? undefined : state.records.get(existing);
  const record =
    known ??
    createDataset(
      state,
      {
        datasetId: null,
        primary: session.node,
        metadata: {
          name,
          ...(options.profile === null ? {} : { "clusterhq:flocker:profile": options.profile }),
          ...(options.sizeBytes === null ? {} : { maximum_size: String(options.sizeBytes) }),
        },
        maximumSizeBytes: options.sizeBytes,
        pool: options.pool,
        fileSystem: options.fileSystem,
        reclaim: options.reclaim,
      },
      nowMs,
    );
  if (known !== undefined) assertSameOptions(known, name, options);
  const answer: Answer = {
    kind: "ok",
    entry: { name, datasetId: record.datasetId },
    notice: record.notice,
  };
  const pending = state.pendingCreates.get(record.datasetId);
  if (pending === undefined) {
    state.send(session.connection, { kind: "answer", id, answer });
    return;
  }
  pending.answers.push({ connection: session.connection, id, answer });
}

/**
 * Create of an existing name with no or equal options succeeds; otherwise both values are named.
 */
function assertSameOptions(record: DatasetRecord, name: string, options: CreateOptions): void {
  const pairs = [
    ["size", options.sizeBytes, record.maximumSizeBytes ?? record.sizeBytes],
    ["pool", options.pool, record.pool],
    ["fs", options.fileSystem, record.fileSystem ?? "native"],
  ] as const;
  for (const [option, asked, has] of pairs) {
    if (asked === null || asked === has) continue;
    throw new FlockerError(
      "OPTIONS_DIFFER",
      `Volume ${name} exists with ${option} ${has}; ${option} ${asked} was asked for. Remove it ` +
        "first, or leave the option out.",
    );
  }
}
