// What the reader sets in a playground: the values that each knob has, where it stands at first, and all of it in an
// address. `course_utils.explorers.playground` has the same values; a test compares them.

import { DENSITIES, type DensityName } from "./densities.ts";
import type { GanSettings, GeneratorLoss } from "./gan.ts";

export interface GanState extends GanSettings {
  density: DensityName;
  seed: number;
}

export interface DiffusionState {
  density: DensityName;
  seed: number;
  lr: number;
  steps: number; // of the way back
  sampler: "ddim" | "ddpm";
}

/** For each setting the values that its control offers, in their order. */
export type Knobs<S> = { readonly [K in keyof S]: readonly S[K][] };

const DENSITY = Object.keys(DENSITIES) as DensityName[];
const SEEDS = [0, 1, 2, 3, 4, 5, 6, 7];
const TURNS = [1, 2, 3, 4, 5];
const RATES = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3];

export const GAN_KNOBS: Knobs<GanState> = {
  density: DENSITY,
  turnsD: TURNS,
  turnsG: TURNS,
  r1: [0, 0.1, 0.3, 1, 3, 10, 20, 50],
  lrD: RATES,
  lrG: RATES,
  loss: ["non-saturating", "minimax"] satisfies GeneratorLoss[],
  seed: SEEDS,
};

export const GAN_FIRST: GanState = {
  density: "gaussians",
  turnsD: 1,
  turnsG: 1,
  r1: 1,
  lrD: 1e-3,
  lrG: 1e-3,
  loss: "non-saturating",
  seed: 0,
};

export const DIFFUSION_KNOBS: Knobs<DiffusionState> = {
  density: DENSITY,
  steps: [1, 2, 3, 5, 10, 20, 50, 100],
  sampler: ["ddim", "ddpm"],
  lr: [5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2],
  seed: SEEDS,
};

export const DIFFUSION_FIRST: DiffusionState = {
  density: "moons",
  steps: 50,
  sampler: "ddim",
  lr: 5e-3,
  seed: 0,
};

/** All settings in an address: density=moons&steps=50&… */
export const write = (state: object): string =>
  Object.entries(state)
    .map(([name, value]) => `${name}=${value}`)
    .join("&");

/** The settings in an address; null unless each is there, with a value of its knob. */
export function read<S extends object>(values: URLSearchParams, knobs: Knobs<S>): S | null {
  const found = Object.entries<readonly unknown[]>(knobs).map(([name, allowed]) => [
    name,
    allowed.find((value) => String(value) === values.get(name)),
  ]);
  return found.every(([, value]) => value !== undefined) ? (Object.fromEntries(found) as S) : null;
}
