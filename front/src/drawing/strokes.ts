// A drawing as strokes on a board of side 1, and what of it the networks see: 28 × 28 pixels, made as MNIST's were.

import { clamp, type Point } from "../house/numbers.ts";

/** Points from left to right and from top to bottom, 0 … 1. */
export type Stroke = readonly Point[];

export const SIDE = 28;
const BOX = 20; // the longer side of a digit of MNIST, in pixels
const FINE = 6; // pixels in which one of MNIST is drawn first
/** How wide the pen is on the board, and after a drawing was scaled to the box, in pixels of MNIST. */
export const PEN = 0.07;
export const NIB = 2.6;

/** Places to the side of the board that a point can have; those of an address go beyond the board on all sides. */
export const GRID = 36 ** 3 / 4;
export const FIRST = -1.5 * GRID;
const LAST = 2.5 * GRID - 1;
const NEAR = 0.001; // of a line, on the board: half a pixel of it

/**
 * A drawing as an address can hold it, which is what the networks are asked about, so that a link gives the same
 * pictures: on a grid, without the points that lie near a line through others. Simplified once more it stays as it is.
 *
 * Source: Douglas and Peucker, "Algorithms for the reduction of the number of points required to represent a digitized
 * line or its caricature", 1973.
 */
export function simplified(strokes: readonly Stroke[]): Stroke[] {
  const onGrid = (value: number) => clamp(Math.round(value * GRID), FIRST, LAST) / GRID;
  return strokes.map((stroke) => {
    const points = stroke.map(([x, y]): Point => [onGrid(x), onGrid(y)]);
    const kept = new Set([0, points.length - 1]);
    const spans: [from: number, until: number][] = [[0, points.length - 1]];
    for (let span = spans.pop(); span; span = spans.pop()) {
      const [from, until] = span;
      let [most, farthest] = [NEAR, -1];
      for (let k = from + 1; k < until; k++) {
        const away = fromLine(points[k], points[from], points[until]);
        if (away > most) [most, farthest] = [away, k];
      }
      if (farthest < 0) continue;
      kept.add(farthest);
      spans.push([from, farthest], [farthest, until]);
    }
    return points.filter((_, k) => kept.has(k));
  });
}

/** What the networks see, 784 values in [-1, 1]; null for an empty board. centred: made as MNIST's, or as it stands. */
export function prepared(strokes: readonly Stroke[], centred: boolean): Float32Array | null {
  const points = strokes.flat();
  if (!points.length) return null;
  const brightness = centred
    ? normalised(rasterised(boxed(strokes), BOX * FINE, NIB * FINE), BOX * FINE)
    : averaged(rasterised(strokes, SIDE * FINE, PEN * SIDE * FINE), SIDE * FINE);
  return brightness?.map((value) => 2 * value - 1) ?? null;
}

/** The strokes so that they, drawn with the nib, fill the box, 0 … 1, along its longer side. */
function boxed(strokes: readonly Stroke[]): Stroke[] {
  const [[left, right], [top, bottom]] = [0, 1].map((axis) => extent(strokes, axis));
  const pen = NIB / BOX;
  const scale = (1 - pen) / Math.max(right - left, bottom - top, 0.1);
  const by = (p: Point): Point => [pen / 2 + (p[0] - left) * scale, pen / 2 + (p[1] - top) * scale];
  return strokes.map((stroke) => stroke.map(by));
}

function extent(strokes: readonly Stroke[], axis: number): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const stroke of strokes)
    for (const point of stroke) {
      low = Math.min(low, point[axis]);
      high = Math.max(high, point[axis]);
    }
  return [low, high];
}

/** Strokes on `size` × `size` pixels, 0 … 1, by a round pen of that diameter in pixels. */
export function rasterised(strokes: readonly Stroke[], size: number, pen: number): Float32Array {
  const ink = new Float32Array(size * size);
  const radius = pen / 2;
  for (const stroke of strokes)
    for (let k = 0; k < stroke.length; k++) {
      const [a, b] = [stroke[Math.max(0, k - 1)], stroke[k]].map(([x, y]): Point => [x * size, y * size]);
      const [across, down] = [0, 1].map((axis) => [
        clamp(Math.floor(Math.min(a[axis], b[axis]) - radius - 1), 0, size),
        clamp(Math.ceil(Math.max(a[axis], b[axis]) + radius + 1), 0, size),
      ]);
      for (let y = down[0]; y < down[1]; y++)
        for (let x = across[0]; x < across[1]; x++) {
          const cover = radius + 0.5 - fromLine([x + 0.5, y + 0.5], a, b);
          const at = y * size + x;
          if (cover > ink[at]) ink[at] = Math.min(cover, 1);
        }
    }
  return ink;
}

/** How far a point is from the line from a to b. */
function fromLine([x, y]: Point, a: Point, b: Point): number {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const [px, py] = [x - a[0], y - a[1]];
  const along = clamp((px * dx + py * dy) / (dx * dx + dy * dy || 1), 0, 1);
  return Math.hypot(px - along * dx, py - along * dy);
}

/** The mean over equal squares: `size` × `size` values to 28 × 28. */
const averaged = (ink: Float32Array, size: number): Float32Array =>
  resampled(ink, size, { left: 0, top: 0, scale: SIDE / size, width: SIDE, height: SIDE });

/**
 * A drawing of `size` × `size` values, 0 … 1, as MNIST would have it: the longer side of what is drawn is 20 pixels,
 * the centre of its mass lies in the middle, to a pixel. 784 values; null without ink.
 *
 * Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998, section III.A.
 */
export function normalised(ink: Float32Array, size: number): Float32Array | null {
  const sides = inked(ink, size);
  if (!sides) return null;
  const { left, right, top, bottom } = sides;
  const scale = BOX / Math.max(right - left, bottom - top);
  const [width, height] = [right - left, bottom - top].map((side) => Math.max(1, Math.round(side * scale)));
  const small = resampled(ink, size, { left, top, scale, width, height });
  let [mass, x, y] = [0, 0, 0];
  for (let i = 0; i < small.length; i++) {
    mass += small[i];
    x += small[i] * ((i % width) + 0.5);
    y += small[i] * (Math.floor(i / width) + 0.5);
  }
  // In MNIST the centre of mass lies between 14 and 15 pixels from the left and the top.
  const [across, down] = [x, y].map((sum) => Math.ceil(SIDE / 2 - sum / mass));
  const out = new Float32Array(SIDE * SIDE);
  for (let i = 0; i < small.length; i++) {
    const [column, row] = [(i % width) + across, Math.floor(i / width) + down];
    if (column >= 0 && column < SIDE && row >= 0 && row < SIDE) out[row * SIDE + column] = small[i];
  }
  return out;
}

/** The box around all ink, in pixels. */
function inked(ink: Float32Array, size: number) {
  let [left, right, top, bottom] = [size, 0, size, 0];
  for (let i = 0; i < ink.length; i++) {
    if (ink[i] < 0.02) continue;
    const [x, y] = [i % size, Math.floor(i / size)];
    [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
  }
  return right > left ? { left, right, top, bottom } : null;
}

interface Window {
  left: number;
  top: number;
  scale: number;
  width: number;
  height: number;
}

/** A part of a picture, scaled down: each new pixel is the mean of what it covers. */
function resampled(
  ink: Float32Array,
  size: number,
  { left, top, scale, width, height }: Window,
): Float32Array {
  const columns = shares(left, scale, width, size);
  const rows = shares(top, scale, height, size);
  const out = new Float32Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (const [row, a] of rows[y])
        for (const [column, b] of columns[x]) sum += a * b * ink[row * size + column];
      out[y * width + x] = sum;
    }
  return out;
}

/** For each new pixel along an axis, the old ones under it and the share of it that each covers. */
function shares(start: number, scale: number, count: number, size: number): [at: number, share: number][][] {
  return Array.from({ length: count }, (_, k) => {
    const [from, until] = [start + k / scale, start + (k + 1) / scale];
    const under: [number, number][] = [];
    for (let at = Math.floor(from); at < Math.min(until, size); at++)
      under.push([at, (Math.min(until, at + 1) - Math.max(from, at)) * scale]);
    return under;
  });
}

/** What is left of strokes after an eraser went straight from one place to another; a stroke may fall into two. */
export function erased(strokes: readonly Stroke[], from: Point, to: Point, radius: number): Stroke[] {
  const left: Point[][] = [];
  for (const stroke of strokes) {
    let part: Point[] = [];
    for (const point of dense(stroke, radius / 4)) {
      if (fromLine(point, from, to) > radius) part.push(point);
      else {
        if (part.length) left.push(part);
        part = [];
      }
    }
    if (part.length) left.push(part);
  }
  return left;
}

/** The stroke with points at most so far apart. */
function dense(stroke: Stroke, most: number): Point[] {
  const points: Point[] = [];
  for (const [k, b] of stroke.entries()) {
    const a = stroke[Math.max(0, k - 1)];
    const parts = Math.max(1, Math.ceil(Math.hypot(b[0] - a[0], b[1] - a[1]) / most));
    for (let j = 1; j <= parts; j++)
      points.push([a[0] + ((b[0] - a[0]) * j) / parts, a[1] + ((b[1] - a[1]) * j) / parts]);
  }
  return points;
}

export interface Move {
  right?: number;
  down?: number;
  degrees?: number;
  scale?: number;
}

const SMALLEST = 0.05;
const LARGEST = 1.5;

/**
 * The strokes moved, and turned (clockwise) and scaled around their middle. The middle stays on the board, and their
 * longer side between a twentieth of the board's and one and a half of it.
 */
export function moved(
  strokes: readonly Stroke[],
  { right = 0, down = 0, degrees = 0, scale = 1 }: Move,
): Stroke[] {
  if (!strokes.length) return [];
  const [[left, far], [top, bottom]] = [0, 1].map((axis) => extent(strokes, axis));
  const [cx, cy] = [(left + far) / 2, (top + bottom) / 2];
  const size = Math.max(far - left, bottom - top) || 1;
  const by = clamp(scale, Math.min(1, SMALLEST / size), Math.max(1, LARGEST / size));
  const angle = (degrees * Math.PI) / 180;
  const [cos, sin] = [by * Math.cos(angle), by * Math.sin(angle)];
  const [x0, y0] = [clamp(cx + right, 0, 1), clamp(cy + down, 0, 1)];
  const to = ([x, y]: Point): Point => [
    x0 + cos * (x - cx) - sin * (y - cy),
    y0 + sin * (x - cx) + cos * (y - cy),
  ];
  return strokes.map((stroke) => stroke.map(to));
}
