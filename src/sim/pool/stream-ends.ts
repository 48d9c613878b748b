// oxlint-disable-next-line no-restricted-imports -- the port's types: no byte flows through them
import { Readable, Writable } from "node:stream";
import type { Transfer } from "./transfer.ts";

/** Stands for the bytes of one stream; nothing but the model's driver reads or writes it. */
export class StreamIn extends Readable {
  readonly transfer: Transfer;

  constructor(transfer: Transfer) {
    super({ read: () => {} });
    this.transfer = transfer;
  }
}

export class StreamOut extends Writable {
  readonly transfer: Transfer;

  constructor(transfer: Transfer) {
    super({ write: () => {} });
    this.transfer = transfer;
  }
}
