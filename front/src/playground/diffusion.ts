// `course_utils.diffusion` in the plane: schedule, a network that predicts the noise, its loss, and the way back.
import { type Density, drawPoints } from "./densities.ts";
import { Adam, Network } from "./network.ts";
import { Random } from "./random.ts";

export const T = 1000;
export const WIDTH = 64;
export const TIME_WIDTH = 16;
export const FREQUENCIES = [1, 2, 4];
export const BATCH = 128;
const AVERAGED = 0.99;

/** ᾱ_t for t = 0 … T, with β_t evenly from 1e-4 to 0.02 (Ho et al., 2020, section 4). */
export function linearSchedule(steps = T, first = 1e-4, last = 0.02): Float64Array {
  const alphaBar = new Float64Array(steps + 1).fill(1);
  for (let t = 1; t <= steps; t++)
    alphaBar[t] = alphaBar[t - 1] * (1 - first - ((last - first) * (t - 1)) / Math.max(1, steps - 1));
  return alphaBar;
}

/** Sines, then cosines, of t, with periods from 2π to 20,000π (Vaswani et al., 2017, section 3.5): `width` values. */
export function sinusoids(t: number, width: number): Float64Array {
  const half = width / 2;
  const values = new Float64Array(width);
  for (let k = 0; k < half; k++) {
    const angle = t * Math.exp((-Math.log(10_000) * k) / (half - 1));
    values[k] = Math.sin(angle);
    values[half + k] = Math.cos(angle);
  }
  return values;
}

/** `steps` + 1 times from T down to 0, evenly spread (Lin et al., 2024, table 2, "trailing"). */
export const timeSteps = (steps: number): number[] =>
  Array.from({ length: steps + 1 }, (_, k) => Math.round((T * (steps - k)) / steps));

export const alphaBar = linearSchedule();

/** x_t = √ᾱ_t x₀ + √(1 - ᾱ_t) ε for points and noise (n, 2); t of each point, or one for all. */
export function noisy(x0: Float64Array, t: ArrayLike<number> | number, eps: Float64Array): Float64Array {
  return x0.map((value, k) => {
    const a = alphaBar[typeof t === "number" ? t : t[k >> 1]];
    return Math.sqrt(a) * value + Math.sqrt(1 - a) * eps[k];
  });
}

/**
 * The step from t to s < t: x_s = √ᾱ_s x̂₀ + √(1 - ᾱ_s - σ²) ε̂ + σ z, σ = η √((1 - ᾱ_s) / (1 - ᾱ_t)) √(1 - ᾱ_t / ᾱ_s).
 * η = 0 is DDIM, η = 1 DDPM (Song et al., 2021, equations 12 and 16). All arrays (n, 2).
 */
export function stepBack(
  x: Float64Array,
  eps: Float64Array,
  t: number,
  s: number,
  eta: number,
  z: Float64Array,
): Float64Array {
  const [a, b] = [alphaBar[t], alphaBar[s]];
  const sigma = eta * Math.sqrt((1 - b) / (1 - a)) * Math.sqrt(1 - a / b);
  const rest = Math.sqrt(Math.max(0, 1 - b - sigma * sigma));
  return x.map((value, k) => {
    const x0 = (value - Math.sqrt(1 - a) * eps[k]) / Math.sqrt(a);
    return Math.sqrt(b) * x0 + rest * eps[k] + sigma * z[k];
  });
}

/**
 * The noise that the best possible network sees in x_t (n, 2): from E[x₀ | x_t] of the density's mixture of Gaussians,
 * as `course_utils.diffusion.IdealDenoiser`.
 */
export function idealNoise({ centres, std }: Density, x: Float64Array, t: number): Float64Array {
  const [signal, variance] = [Math.sqrt(alphaBar[t]), 1 - alphaBar[t]];
  const spread = alphaBar[t] * std * std + variance; // of x_t around each centre
  const share = new Float64Array(centres.length / 2);
  const eps = new Float64Array(x.length);
  for (let k = 0; k < x.length; k += 2) {
    let most = -Infinity;
    for (let c = 0; c < share.length; c++) {
      const away = (x[k] - signal * centres[2 * c]) ** 2 + (x[k + 1] - signal * centres[2 * c + 1]) ** 2;
      share[c] = -away / (2 * spread);
      if (share[c] > most) most = share[c];
    }
    const mean = [0, 0];
    let total = 0;
    for (let c = 0; c < share.length; c++) {
      const weight = Math.exp(share[c] - most);
      total += weight;
      mean[0] += weight * centres[2 * c];
      mean[1] += weight * centres[2 * c + 1];
    }
    for (const axis of [0, 1]) {
      const mu = mean[axis] / total;
      const x0 = mu + ((signal * std * std) / spread) * (x[k + axis] - signal * mu);
      eps[k + axis] = (x[k + axis] - signal * x0) / Math.sqrt(variance);
    }
  }
  return eps;
}

/** The loss of the ideal network, by n draws: no training gets below it, but for chance. */
export function bestLoss(density: Density, n: number, random: Random): number {
  let total = 0;
  for (let k = 0; k < n; k++) {
    const t = 1 + random.whole(T);
    const eps = random.normals(2);
    const seen = idealNoise(density, noisy(drawPoints(density, 1, random), t, eps), t);
    total += (seen[0] - eps[0]) ** 2 + (seen[1] - eps[1]) ** 2;
  }
  return total / (2 * n);
}

const TABLE = Array.from({ length: T + 1 }, (_, t) => sinusoids(t, TIME_WIDTH));
const ENTERING = 2 + TIME_WIDTH + 4 * FREQUENCIES.length;

/**
 * What enters the network for points x_t (n, 2) at time t (of each point, or one for all): the coordinates, the time's
 * sinusoids, and sine and cosine of each coordinate, without which so small a network learns nothing sharp (Tancik
 * et al., "Fourier features let networks learn high frequency functions in low dimensional domains", 2020).
 */
export function entering(x: Float64Array, t: ArrayLike<number> | number): Float64Array {
  const n = x.length / 2;
  const rows = new Float64Array(n * ENTERING);
  for (let k = 0; k < n; k++) {
    let at = k * ENTERING;
    rows[at++] = x[2 * k];
    rows[at++] = x[2 * k + 1];
    rows.set(TABLE[typeof t === "number" ? t : t[k]], at);
    at += TIME_WIDTH;
    for (const frequency of FREQUENCIES)
      for (const value of [frequency * x[2 * k], frequency * x[2 * k + 1]]) {
        rows[at++] = Math.sin(value);
        rows[at++] = Math.cos(value);
      }
  }
  return rows;
}

/** A network that predicts the noise; a second one, with the exponential average of its weights, is what samples. */
export class Diffusion {
  readonly net: Network;
  readonly average: Network;
  lr: number;
  steps = 0;
  private readonly density: Density;
  private readonly random: Random;
  private readonly adam: Adam;

  constructor(density: Density, lr: number, seed: number) {
    this.density = density;
    this.lr = lr;
    this.random = new Random(seed);
    this.net = new Network([ENTERING, WIDTH, WIDTH, 2], "silu", this.random);
    this.average = new Network(this.net.sizes, "silu", this.random);
    this.average.parameters.set(this.net.parameters);
    this.adam = new Adam(this.net, [0.9, 0.999]);
  }

  /** The noise that the averaged network sees in points (n, 2) at time t. */
  noise(x: Float64Array, t: number): Float64Array {
    return this.average.forward(entering(x, t), x.length / 2);
  }

  /** The mean of (ε - ε̂)² for x₀, t and ε (Ho et al., 2020, equation 14); its gradient is added to the network's. */
  gradientOf(x0: Float64Array, t: ArrayLike<number>, eps: Float64Array): number {
    const seen = this.net.forward(entering(noisy(x0, t, eps), t), t.length);
    let loss = 0;
    const d = seen.map((value, k) => {
      loss += (value - eps[k]) ** 2;
      return (2 * (value - eps[k])) / eps.length;
    });
    this.net.backward(d);
    return loss / eps.length;
  }

  /** One training step on fresh points; the loss. */
  step(): number {
    const x0 = drawPoints(this.density, BATCH, this.random);
    const t = Array.from({ length: BATCH }, () => 1 + this.random.whole(T));
    const loss = this.gradientOf(x0, t, this.random.normals(2 * BATCH));
    this.adam.step(this.lr);
    this.follow(this.steps++);
    return loss;
  }

  /** The average takes in the weights after training step t = 0, 1, …, as `course_utils.training`'s does. */
  follow(t: number): void {
    const kept = t ? Math.min(AVERAGED, (1 + t) / (10 + t)) : 0;
    for (let k = 0; k < this.net.parameters.length; k++)
      this.average.parameters[k] = kept * this.average.parameters[k] + (1 - kept) * this.net.parameters[k];
  }
}

/** Points from noise x_T (n, 2): the state at each of the `timeSteps`, the start first. */
export function* wayBack(
  see: (x: Float64Array, t: number) => Float64Array,
  start: Float64Array,
  steps: number,
  eta: number,
  random: Random,
): Generator<{ t: number; x: Float64Array }> {
  const times = timeSteps(steps);
  let x = start;
  yield { t: times[0], x };
  for (let k = 0; k < steps; k++) {
    const z = eta > 0 ? random.normals(x.length) : new Float64Array(x.length);
    x = stepBack(x, see(x, times[k]), times[k], times[k + 1], eta, z);
    yield { t: times[k + 1], x };
  }
}
