import type { NameEntry, RecordEntry } from "./agent-messages.ts";

/** FNV-1a, twice with different offsets: 64 bits are ample to notice a difference of lists. */
function hash(texts: readonly string[]): string {
  let low = 0x811c9dc5;
  let high = 0xcbf29ce4;
  for (const text of texts) {
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul(high ^ (code + 0x5bd1), 0x01000193);
    }
    low = Math.imul(low ^ 0xff, 0x01000193);
    high = Math.imul(high ^ 0xfe, 0x01000193);
  }
  return [low, high].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

/** Equal for entries of one dataset that say the same. */
export function entryVersion({ record, wantedBy, peer }: RecordEntry): string {
  const address = peer === null ? "" : `${peer.host}:${peer.port}`;
  return `${record.revision}:${wantedBy ?? ""}:${address}`;
}

/**
 * Equal digests on both ends mean that nothing need be sent (ADR 0010). Of all that records say: a
 * store that was set back numbers its revisions anew, so equal numbers prove nothing.
 */
export function recordsDigest(entries: Iterable<RecordEntry>): string {
  const texts = [...entries].map((entry) => `${contentOf(entry.record)}:${entryVersion(entry)}`);
  return hash(texts.sort());
}

/** Records never change in place, and most of them are hashed again at each hello. */
const contents = new WeakMap<RecordEntry["record"], string>();

function contentOf(record: RecordEntry["record"]): string {
  const known = contents.get(record);
  if (known !== undefined) return known;
  const content = hash([JSON.stringify(record, sortedKeys)]);
  contents.set(record, content);
  return content;
}

/** The order of keys is not the same on both ends: one of them may have read it from rows. */
function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The same for names. */
export function namesDigest(entries: Iterable<NameEntry>): string {
  return hash([...entries].map(({ name, datasetId }) => `${datasetId}:${name}`).sort());
}
