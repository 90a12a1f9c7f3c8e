// The plane of a pad: nodes on a grid, and dots.

import { clamp, minus, offset, type Point, type Range } from "../house/numbers.ts";
import type { PadState } from "./types.ts";

type Grid = Pick<PadState, "x" | "y" | "columns" | "rows">;

export const rowColumn = ({ columns }: { columns: number }, node: number): [row: number, column: number] => [
  Math.floor(node / columns),
  node % columns,
];

export function nodePosition(pad: Grid, node: number): Point {
  const [row, column] = rowColumn(pad, node);
  const at = ([low, high]: Range, k: number, n: number) => low + ((high - low) * k) / (n - 1);
  return [at(pad.x, column, pad.columns), at(pad.y, row, pad.rows)];
}

/** The node nearest to a place. */
export function nodeAt(pad: Grid, [x, y]: Point): number {
  const k = (value: number, [low, high]: Range, n: number) =>
    clamp(Math.round(((value - low) / (high - low)) * (n - 1)), 0, n - 1);
  return k(y, pad.y, pad.rows) * pad.columns + k(x, pad.x, pad.columns);
}

/** The dots of the map, x and y in turn: the same always, or others for each position of some controls. */
export function dotsNow(pad: PadState, dims: readonly number[]): number[] | null {
  if (!pad.points) return null;
  const start = 2 * pad.count! * offset(pad.strides!, dims);
  return pad.points.slice(start, start + 2 * pad.count!);
}

export function nearestPoint(points: readonly number[], [x, y]: Point): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k < points.length / 2; k++) {
    const d = (points[2 * k] - x) ** 2 + (points[2 * k + 1] - y) ** 2;
    if (d < least) [best, least] = [k, d];
  }
  return best;
}

export function placeText(pad: PadState, [x, y]: Point): string {
  const decimals = Math.max(0, 2 - Math.floor(Math.log10((pad.x[1] - pad.x[0]) / 2)));
  return `${pad.name} = (${minus(x.toFixed(decimals))}, ${minus(y.toFixed(decimals))})`;
}
