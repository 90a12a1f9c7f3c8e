// How large pictures can be drawn in a box: the rows of a justified gallery, all of one height.

export interface Fitted {
  rows: number;
  /** The height of every picture; its width is that times its aspect. */
  height: number;
}

/** Pictures are looked at side by side: another row must make them so much larger. */
export const WORTH = 1.3;

/**
 * Rows in which pictures fill a box as largely as they can.
 *
 * aspects: width / height of each; text: pixels of height that each row needs beside its pictures; most: no picture
 * becomes larger than that.
 */
export function fit(
  aspects: readonly number[],
  box: { width: number; height: number },
  text: number,
  gap: number,
  most = { width: Number.POSITIVE_INFINITY, height: Number.POSITIVE_INFINITY },
): Fitted {
  const n = aspects.length;
  const largest = Math.min(most.height, most.width / Math.max(...aspects));
  let best: Fitted = { rows: 1, height: 0 };
  for (let rows = 1; rows <= n; rows++) {
    let height = Math.min(largest, (box.height - gap * (rows - 1)) / rows - text);
    for (const row of split(aspects, rows)) {
      const shares = row.reduce((sum, aspect) => sum + aspect, 0);
      height = Math.min(height, (box.width - gap * (row.length - 1)) / shares);
    }
    if (height > best.height * (best.height > 0 ? WORTH : 1)) best = { rows, height };
  }
  return best;
}

/** The list in so many parts, in order, each but the last of the same length. */
export function split<T>(list: readonly T[], parts: number): T[][] {
  const length = Math.ceil(list.length / parts);
  return Array.from({ length: Math.ceil(list.length / length) }, (_, k) =>
    list.slice(k * length, (k + 1) * length),
  );
}
