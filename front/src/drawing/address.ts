// A drawing and what is asked of it in an address: drawing=…&ask=5&noise=2&as=MNIST. Three letters a coordinate, a dot
// between strokes.

import { FIRST, GRID, type Stroke, simplified } from "./strokes.ts";

/** All that the board's pictures follow from. */
export interface Shared {
  strokes: readonly Stroke[];
  /** The class that the diffusion model is asked for; 10: none. */
  wish: number;
  /** Of the noise. */
  seed: number;
  /** Whether the drawing is scaled and centred, as MNIST's digits were, or taken as it is drawn. */
  centred: boolean;
}

export const NO_WISH = 10;

const BASE = 36;
const LETTERS = 3; // of a coordinate: BASE ** 3 places from FIRST to LAST
const LONGEST = 120_000; // letters that are read: twenty thousand points

const word = (value: number): string => (value * GRID - FIRST).toString(BASE).padStart(LETTERS, "0");

export function write({ strokes, wish, seed, centred }: Shared): string {
  const parts = simplified(strokes).map((stroke) => stroke.flat().map(word).join(""));
  const ask = wish === NO_WISH ? "any" : wish;
  return `drawing=${parts.join(".")}&ask=${ask}&noise=${seed}&as=${centred ? "MNIST" : "drawn"}`;
}

/** What an address says of the board; null unless all of it can be read, and there is a drawing. */
export function read(values: URLSearchParams): Shared | null {
  const [text, ask, noise, as] = ["drawing", "ask", "noise", "as"].map((name) => values.get(name) ?? "");
  if (text.length > LONGEST || !/^([0-9a-z]{6})+(\.([0-9a-z]{6})+)*$/.test(text)) return null;
  if (!/^(any|\d)$/.test(ask) || !/^\d{1,9}$/.test(noise) || !/^(MNIST|drawn)$/.test(as)) return null;
  const strokes = text.split(".").map((part) => {
    const value = (at: number): number =>
      (Number.parseInt(part.slice(at, at + LETTERS), BASE) + FIRST) / GRID;
    return Array.from({ length: part.length / (2 * LETTERS) }, (_, k) => {
      const at = 2 * LETTERS * k;
      return [value(at), value(at + LETTERS)] as const;
    });
  });
  return {
    strokes,
    wish: ask === "any" ? NO_WISH : Number(ask),
    seed: Number(noise),
    centred: as === "MNIST",
  };
}
