/** Columns that may be wrapped when a row is wider than this: those whose cells are sentences. */
const widthMax = 140;
const wrappedWidthMin = 12;
const gap = 3;

/**
 * A table as the original printed it: no borders, cells padded to the widest of their column,
 * three spaces between columns, one after the last, an empty line at the end. Width counts code
 * points. Beyond 140 columns the cells of `wrappable` columns continue on further lines; the
 * others, ids and addresses, stay whole, and without wrappable columns every row is one line.
 */
export function formatTable(
  rows: readonly (readonly string[])[],
  wrappable: readonly number[] = [],
): string {
  const widths = columnWidths(rows, wrappable);
  const lines = rows.flatMap((row) => rowLines(row, widths));
  return `${lines.join("\n")}\n\n`;
}

function columnWidths(
  rows: readonly (readonly string[])[],
  wrappable: readonly number[],
): number[] {
  const widths = (rows[0] ?? []).map((_, index) =>
    Math.max(...rows.map((row) => width(row[index] ?? ""))),
  );
  for (;;) {
    const total = widths.reduce((sum, each) => sum + each + gap, 1 - gap);
    const widest = Math.max(wrappedWidthMin, ...wrappable.map((index) => widths[index] ?? 0));
    if (total <= widthMax || widest === wrappedWidthMin) return widths;
    const column = wrappable.find((index) => widths[index] === widest);
    if (column !== undefined) {
      widths[column] = Math.max(wrappedWidthMin, widest - (total - widthMax));
    }
  }
}

function rowLines(row: readonly string[], widths: readonly number[]): string[] {
  const cells = row.map((cell, index) => wrap(cell, widths[index] ?? 0));
  const height = Math.max(...cells.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) => {
    const padded = cells.map((lines, index) => pad(lines[line] ?? "", widths[index] ?? 0));
    return `${padded.join(" ".repeat(gap))} `;
  });
}

/** At spaces where there are some, else in the middle of a word. */
function wrap(text: string, widthLimit: number): string[] {
  if (width(text) <= widthLimit) return [text];
  const lines = [""];
  for (const word of text.split(" ").flatMap((each) => pieces(each, widthLimit))) {
    const last = lines.at(-1) ?? "";
    const longer = last === "" ? word : `${last} ${word}`;
    if (width(longer) <= widthLimit) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function pieces(word: string, widthLimit: number): string[] {
  const points = Array.from(word);
  const count = Math.max(1, Math.ceil(points.length / widthLimit));
  return Array.from({ length: count }, (_, index) =>
    points.slice(index * widthLimit, (index + 1) * widthLimit).join(""),
  );
}

function width(text: string): number {
  return Array.from(text).length;
}

function pad(text: string, to: number): string {
  return text + " ".repeat(Math.max(0, to - width(text)));
}
