// A drawing in the address of its page: #drawing?strokes=…, two letters for each coordinate, a dot between strokes.

import { clamp, type Point } from "../house/numbers.ts";
import type { Stroke } from "./strokes.ts";

const BASE = 36;
const MOST = BASE ** 2 - 1;
const PAIR = 4; // letters of a point
const LONGEST = 80_000; // letters that are read: twenty thousand points, five minutes of scribbling

const letters = (value: number): string =>
  Math.round(clamp(value, 0, 1) * MOST)
    .toString(BASE)
    .padStart(2, "0");

/** What points of a stroke are kept: far enough from the last one, and both ends. */
function thinned(stroke: Stroke): Stroke {
  const kept: Point[] = [];
  for (const [k, point] of stroke.entries()) {
    const last = kept.at(-1);
    if (!last || k === stroke.length - 1 || Math.hypot(point[0] - last[0], point[1] - last[1]) > 0.015)
      kept.push(point);
  }
  return kept;
}

export const write = (place: string, strokes: readonly Stroke[]): string =>
  `#${place}?strokes=${strokes.map((stroke) => thinned(stroke).flat().map(letters).join("")).join(".")}`;

/** The drawing in an address; null if there is none, or one that cannot be read. */
export function read(hash: string, place: string): Stroke[] | null {
  const [where, query] = hash.replace(/^#/, "").split("?");
  const text = where === place && query ? new URLSearchParams(query).get("strokes") : null;
  if (text === null || text.length > LONGEST || !/^[0-9a-z.]+$/.test(text)) return null;
  const parts = text.split(".");
  if (parts.some((part) => part.length === 0 || part.length % PAIR)) return null;
  const value = (part: string, at: number): number => Number.parseInt(part.slice(at, at + 2), BASE) / MOST;
  return parts.map((part) =>
    Array.from({ length: part.length / PAIR }, (_, k) => [value(part, PAIR * k), value(part, PAIR * k + 2)]),
  );
}
