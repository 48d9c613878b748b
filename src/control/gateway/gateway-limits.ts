/** What one agent, and all of them together, may ask of the gateway. */
export type GatewayLimits = {
  readonly connectionsMax: number;
  /** Agents that say hello at one time; more are told to come back. */
  readonly hellosMax: number;
  readonly helloMsMax: number;
  readonly messageBytesMax: number;
  /** Above this many at once an agent is read no faster than `messagesPerSecond`. */
  readonly messagesBurst: number;
  readonly messagesPerSecond: number;
  /** A peer that leaves more than this unread is dropped. */
  readonly unsentBytesMax: number;
  readonly beatMs: number;
  readonly beatsUnheardMax: number;
  readonly probeMsMax: number;
  readonly closeMsMax: number;
};

export const gatewayLimits: GatewayLimits = {
  connectionsMax: 4_096,
  hellosMax: 50,
  helloMsMax: 10_000,
  messageBytesMax: 32 << 20,
  messagesBurst: 2_000,
  messagesPerSecond: 500,
  unsentBytesMax: 64 << 20,
  beatMs: 5_000,
  beatsUnheardMax: 3,
  probeMsMax: 3_000,
  closeMsMax: 2_000,
};
