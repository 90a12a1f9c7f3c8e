// Arithmetic of arrays that controls index, and numbers as text.

export type Range = readonly [low: number, high: number];
export type Point = readonly [x: number, y: number];

export const clamp = (value: number, low: number, high: number): number =>
  Math.min(Math.max(value, low), high);

export const distance = (a: Point, b: Point): number => Math.hypot(a[0] - b[0], a[1] - b[1]);

/** A number's text with a minus as printed, and no minus before a zero. */
export function minus(value: number | string): string {
  const text = String(value);
  return text.replace("-", Number(value) === 0 ? "" : "−");
}

/** Where an array with these strides holds the value that belongs to a position of all controls. */
export const offset = (strides: readonly number[], dims: readonly number[]): number =>
  strides.reduce((sum, stride, i) => sum + stride * dims[i], 0);

export const valueAt = <T>(values: readonly T[], strides: readonly number[], dims: readonly number[]): T =>
  values[offset(strides, dims)];

export const replaced = (dims: readonly number[], at: number, value: number): number[] =>
  dims.map((old, i) => (i === at ? value : old));

/** About five round numbers in a range. */
export function niceTicks([low, high]: Range): number[] {
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= raw) ?? 10);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) ticks.push(Number((k * step).toPrecision(6)));
  return ticks;
}
