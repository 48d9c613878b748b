import type { Call } from "../../backends/attachable.ts";
import type { LocalBackend, StreamOf, StreamSum } from "../../backends/local.ts";
import type { DatasetId, NodeId } from "../../domain/ids.ts";
import type { PeerAddress } from "../../protocol/agent-messages.ts";

/** One stage of a move as its target asks for it. */
export type Incoming = StreamOf & {
  /** This node has the move's base: a delta may come on top of it. */
  readonly onBase: boolean;
  readonly source: NodeId;
  /** Where the source serves it. */
  readonly address: PeerAddress;
};

/** What the target of a move asks of its source, whatever lies between the two. */
export interface Peers {
  /**
   * Receives the stage into `backend`, on top of the base only if the source still has it too.
   * Resolves when both ends counted the same; it is not accepted then. Fails otherwise, or when the
   * source refuses, ends or stands still, and leaves a partial copy at most.
   */
  fetch(stage: Incoming, backend: LocalBackend, call: Call): Promise<StreamSum>;
  /**
   * The source's word that `sum` is what it sent last, and that nobody wrote since to what it had
   * sealed. Fails with `VOLUME_BUSY` otherwise: it seals anew, and the stage is to be fetched again.
   */
  confirm(stage: Incoming, sum: StreamSum, call: Call): Promise<void>;
  /** As the source: what was sent of a dataset is not confirmed any more; it is sealed anew. */
  withdraw(datasetId: DatasetId): void;
}
