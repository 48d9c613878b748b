/**
 * What happens in the world, as somebody sees it who stands beside the machines: the storage's
 * blocks, the kernels' mounts, the engines' answers, the store's durable contents. The checkers
 * know nothing else. Ids are plain text.
 */
export type WorldEvent =
  /** A block reached the storage; `mountedAtMs`: since when the writer has the volume open. */
  | {
      readonly kind: "block_written";
      readonly dataset: string;
      readonly ref: string;
      readonly node: string;
      readonly mountedAtMs: number;
      /** The node's own agent let the page cache go out: a clean unmount. */
      readonly clean: boolean;
    }
  /** Containers of a node can see the volume from now on, with these contents. */
  | {
      readonly kind: "shown";
      readonly dataset: string;
      readonly ref: string;
      readonly node: string;
      readonly era: string;
      readonly generation: number;
      /** Which mkfs of the world made the content. */
      readonly mkfs: number;
      readonly entries: ReadonlyMap<string, number>;
    }
  /** A node was told that a person took the dataset from it. */
  | { readonly kind: "superseded_heard"; readonly dataset: string; readonly node: string }
  /** A node's last access to the volume has ended. */
  | { readonly kind: "closed"; readonly dataset: string; readonly node: string }
  /** The storage gave an attachment to nobody that was not given back by its node. */
  | {
      readonly kind: "attachment_taken";
      readonly dataset: string;
      readonly node: string;
      readonly mounted: boolean;
    }
  /** A node's own agent (or a child of it) took a step of taking the volume down. */
  | {
      readonly kind: "taken_down";
      readonly dataset: string;
      readonly node: string;
      readonly step: "hide" | "unmount" | "detach" | "cut";
      /** Containers, and Mounts that the engine was answered and has not taken back. */
      readonly users: readonly string[];
      /** The control service spoke to this process of the agent. */
      readonly heardControl: boolean;
    }
  | {
      readonly kind: "mkfs_written";
      readonly dataset: string;
      readonly ref: string;
      readonly node: string;
      readonly shownBefore: boolean;
    }
  | {
      readonly kind: "write_acknowledged";
      readonly dataset: string;
      readonly node: string;
      readonly writer: string;
      readonly sequence: number;
    }
  /** A claim became durable in the store, or was heard by a node. */
  | {
      readonly kind: "claim_named";
      readonly dataset: string;
      readonly generation: number;
      readonly node: string;
      readonly era: string;
      readonly where: "store" | "agent";
      /** Other nodes that have the volume mounted or are mounting it at this instant. */
      readonly mountedOn: readonly string[];
    }
  /** A person accepted that `node` is cut off; what it acknowledges from now on may be lost. */
  | {
      readonly kind: "override";
      readonly dataset: string;
      readonly node: string;
      /** The dataset's at that instant. */
      readonly generation: number;
      /** The storage cannot stop the node's writes. */
      readonly advisory: boolean;
    }
  /** With "shown", of what lies in a node's own pool. */
  | {
      readonly kind: "local_shown";
      readonly dataset: string;
      readonly node: string;
      readonly writable: boolean;
      readonly limitBytes: number | null;
      readonly generation: number;
      /** The last generation under which what it was made of was shown. */
      readonly descends: number;
      /** Everything came that was sent of it, on every move it made. */
      readonly whole: boolean;
    }
  /** A copy of a local volume was removed; `left`: what is on any disk of any machine besides. */
  | {
      readonly kind: "copy_removed";
      readonly dataset: string;
      readonly node: string;
      readonly how: "discard" | "destroy";
      readonly entries: ReadonlyMap<string, number>;
      readonly left: readonly ReadonlyMap<string, number>[];
    }
  | { readonly kind: "volume_destroyed"; readonly dataset: string; readonly node: string }
  /** A person, or a broken disk, gave up what was acknowledged since an older copy was made. */
  | { readonly kind: "loss_accepted"; readonly dataset: string; readonly disk: boolean }
  | { readonly kind: "destroy_asked"; readonly dataset: string }
  /** Had back from the trash, or made anew under its old id: nothing of it is to go any more. */
  | { readonly kind: "restore_asked" | "begun_again"; readonly dataset: string }
  | { readonly kind: "account_listed"; readonly node: string }
  /** All records of a node came at once; `known`: it had exactly these. */
  | {
      readonly kind: "records_told";
      readonly node: string;
      readonly entries: number;
      readonly known: boolean;
    }
  /** A sentence of a dataset's condition, as a person reads it, beside how things are. */
  | {
      readonly kind: "condition_read";
      readonly dataset: string;
      /** The node that it speaks of. */
      readonly node: string;
      readonly says:
        | { readonly kind: "held"; readonly by: string }
        | { readonly kind: "unused" }
        | { readonly kind: "attached"; readonly to: string };
      /** `container:<id>`, `file:<id>`; users: what its engine knows of, Mounts too. */
      readonly holders: readonly { readonly name: string; readonly isUser: boolean }[];
      readonly attachedTo: string | null;
      /** That node is connected and not within a step, and nothing it said is on its way. */
      readonly heard: boolean;
    }
  | { readonly kind: "machine_died"; readonly node: string }
  | {
      readonly kind: "configuration_acknowledged";
      readonly what: "created" | "delete_asked" | "deleted";
      readonly dataset: string;
      readonly name: string;
    }
  | {
      readonly kind: "store_opened";
      readonly live: ReadonlySet<string>;
      readonly known: ReadonlySet<string>;
      /** A person restored an old copy or lost the store, and recovery has not ended. */
      readonly restored: boolean;
    }
  | {
      readonly kind: "get_answered";
      readonly node: string;
      readonly name: string;
      readonly found: boolean;
      /** This host was off or cut off when the name was acknowledged, and is not told yet. */
      readonly neverHeard: boolean;
    }
  | {
      readonly kind: "path_used";
      readonly node: string;
      readonly when: "mount_answered" | "container_bound";
      readonly dataset: string;
      readonly shown: boolean;
    }
  /** A Mount that the engine gave up on: whether the agent still counts it after the grace. */
  | {
      readonly kind: "abandoned_mount";
      readonly node: string;
      readonly mountId: string;
      readonly counted: boolean;
    }
  | {
      readonly kind: "container_failed";
      readonly dataset: string;
      readonly node: string;
      readonly heardControl: boolean;
      /** The storage itself refused the block, or a person cut the node off. */
      readonly excused: boolean;
    }
  | { readonly kind: "container_checked"; readonly node: string }
  /** The right to use moved to another node. */
  | {
      readonly kind: "moved";
      readonly dataset: string;
      readonly to: string;
      readonly requested: boolean;
    }
  /** After all faults have healed: was what is wanted there in time? */
  | {
      readonly kind: "liveness";
      readonly dataset: string;
      readonly wantedOn: string;
      readonly reached: boolean;
      readonly detail: string;
    };
