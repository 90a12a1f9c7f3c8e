// The ten digits as strokes, to begin with.

import type { Point } from "../house/numbers.ts";
import type { Stroke } from "./strokes.ts";

/** Part of an ellipse around (x, y); degrees clockwise, 0 is to the right. */
function arc(x: number, y: number, rx: number, ry: number, from: number, until: number): Point[] {
  const n = Math.max(2, Math.ceil(Math.abs(until - from) / 12));
  return Array.from({ length: n + 1 }, (_, k) => {
    const angle = ((from + ((until - from) * k) / n) * Math.PI) / 180;
    return [x + rx * Math.cos(angle), y + ry * Math.sin(angle)];
  });
}

export const DIGITS: readonly (readonly Stroke[])[] = [
  [arc(0.5, 0.5, 0.19, 0.3, -80, 280)],
  [
    [
      [0.55, 0.2],
      [0.46, 0.8],
    ],
  ],
  [[...arc(0.49, 0.36, 0.18, 0.16, -165, 35), [0.3, 0.78], [0.42, 0.74], [0.72, 0.78]]],
  [[...arc(0.47, 0.35, 0.17, 0.15, -150, 80), ...arc(0.47, 0.65, 0.2, 0.16, -80, 150)]],
  [
    [
      [0.36, 0.2],
      [0.31, 0.5],
      [0.7, 0.48],
    ],
    [
      [0.65, 0.22],
      [0.6, 0.82],
    ],
  ],
  [[[0.68, 0.2], [0.4, 0.22], [0.36, 0.47], ...arc(0.47, 0.62, 0.2, 0.18, -110, 145)]],
  [[[0.6, 0.19], ...arc(0.65, 0.6, 0.31, 0.4, -125, -180), ...arc(0.49, 0.65, 0.155, 0.15, 180, -170)]],
  [
    [
      [0.29, 0.25],
      [0.7, 0.22],
      [0.55, 0.5],
      [0.45, 0.82],
    ],
  ],
  [[...arc(0.5, 0.35, 0.15, 0.15, 60, -240), ...arc(0.5, 0.65, 0.18, 0.16, -60, 240)]],
  [[...arc(0.5, 0.37, 0.17, 0.16, -20, -380), [0.65, 0.5], [0.6, 0.82]]],
];

/** A 4 that could be a 9. */
export const UNDECIDED: readonly Stroke[] = [
  [
    [0.483, 0.195],
    [0.38, 0.3],
    [0.35, 0.42],
    [0.38, 0.5],
    [0.48, 0.51],
    [0.58, 0.46],
    [0.64, 0.36],
  ],
  [
    [0.66, 0.22],
    [0.62, 0.5],
    [0.57, 0.82],
  ],
];
