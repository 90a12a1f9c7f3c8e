// The densities of the plane that the playgrounds learn, those of `course_utils.data.toy`, and how near points come.
import type { Random } from "./random.ts";

/**
 * A density of the plane: a centre drawn from a curve or from a few points, and normal noise around it.
 *
 * centres: (K, 2), so closely along a curve that the mixture of K Gaussians with this `std` is the density itself, to
 * what can be seen. In eight equal runs they make the eight parts that `covered` counts.
 */
export interface Density {
  name: string;
  std: number;
  centres: Float64Array;
  centre(u: number): [number, number]; // for u uniform in [0, 1)
}

const density = (
  name: string,
  std: number,
  count: number,
  centre: (u: number) => [number, number],
): Density => {
  const centres = new Float64Array(2 * count);
  for (let k = 0; k < count; k++) centres.set(centre((k + 0.5) / count), 2 * k);
  return { name, std, centres, centre };
};

export const DENSITIES = {
  gaussians: density("8 Gaussians", 0.15, 8, (u) => {
    const angle = (2 * Math.PI * Math.floor(8 * u)) / 8;
    return [2 * Math.cos(angle), 2 * Math.sin(angle)];
  }),
  moons: density("two moons", 0.1, 256, (u) => {
    const upper = u < 0.5 ? 1.4 : -1.4;
    const angle = Math.PI * ((2 * u) % 1);
    return [upper * (Math.cos(angle) - 0.5), upper * (Math.sin(angle) - 0.25)];
  }),
  swiss_roll: density("Swiss roll", 0.05, 400, (u) => {
    const angle = 1.5 * Math.PI * (1 + 2 * u);
    return [(angle * Math.cos(angle)) / 6, (angle * Math.sin(angle)) / 6];
  }),
} satisfies Record<string, Density>;

export type DensityName = keyof typeof DENSITIES;

export const DENSITY_NAMES: Record<DensityName, string> = {
  gaussians: DENSITIES.gaussians.name,
  moons: DENSITIES.moons.name,
  swiss_roll: DENSITIES.swiss_roll.name,
};

/** n points (n, 2). */
export function drawPoints({ centre, std }: Density, n: number, random: Random): Float64Array {
  const x = new Float64Array(2 * n);
  for (let k = 0; k < n; k++) {
    const [a, b] = centre(random.uniform());
    x[2 * k] = a + std * random.normal();
    x[2 * k + 1] = b + std * random.normal();
  }
  return x;
}

/** How good points (n, 2) are. */
export interface Quality {
  near: number; // the share within three standard deviations of a centre
  covered: number; // of eight parts, those that have at least 1 % of the points near them
}

export function quality({ centres, std }: Density, x: Float64Array): Quality {
  const n = x.length / 2;
  const count = centres.length / 2;
  const reached = new Array(8).fill(0);
  let near = 0;
  for (let k = 0; k < n; k++) {
    let least = Infinity;
    let which = 0;
    for (let c = 0; c < count; c++) {
      const d = (x[2 * k] - centres[2 * c]) ** 2 + (x[2 * k + 1] - centres[2 * c + 1]) ** 2;
      if (d < least) [least, which] = [d, c];
    }
    if (least >= (3 * std) ** 2) continue;
    near++;
    reached[Math.floor((8 * which) / count)]++;
  }
  return { near: near / n, covered: reached.filter((points) => points >= 0.01 * n).length };
}

/** The mean distance between points (n, 2) and points (m, 2), over all pairs. */
export function meanDistance(a: Float64Array, b: Float64Array): number {
  let total = 0;
  for (let i = 0; i < a.length; i += 2)
    for (let j = 0; j < b.length; j += 2) total += Math.sqrt((a[i] - b[j]) ** 2 + (a[i + 1] - b[j + 1]) ** 2);
  return (4 * total) / (a.length * b.length);
}

/** 2 E‖x - x̂‖ - E‖x - x′‖ - E‖x̂ - x̂′‖ (notebook 05, section 1), with `within` = E‖x - x′‖ of the first. */
export const energyDistance = (x: Float64Array, within: number, made: Float64Array): number =>
  2 * meanDistance(x, made) - within - meanDistance(made, made);
