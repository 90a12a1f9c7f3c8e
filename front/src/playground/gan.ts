// The game of `course_utils.gan` in the plane: two networks, their losses, and their turns.
import { type Density, drawPoints } from "./densities.ts";
import { Adam, Network, sigmoid } from "./network.ts";
import { Random } from "./random.ts";

export const WIDTH = 48;
export const BATCH = 128;

export type GeneratorLoss = "non-saturating" | "minimax";

export interface GanSettings {
  lrD: number;
  lrG: number;
  turnsD: number; // of the discriminator in a round
  turnsG: number; // of the generator in a round
  r1: number; // γ of γ/2 · E‖∇ₓ s‖² at real points
  loss: GeneratorLoss;
}

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** -log σ(real) - log(1 - σ(fake)), and its gradient in the scores, real first (Goodfellow et al., 2014, equation 1). */
export function discriminatorLoss(scores: Float64Array): { loss: number; d: Float64Array } {
  const n = scores.length / 2;
  const d = new Float64Array(2 * n);
  let loss = 0;
  for (let k = 0; k < n; k++) {
    loss += softplus(-scores[k]) + softplus(scores[n + k]);
    d[k] = -sigmoid(-scores[k]) / n;
    d[n + k] = sigmoid(scores[n + k]) / n;
  }
  return { loss: loss / n, d };
}

/** -log σ(fake), or log(1 - σ(fake)), and its gradient in the scores (the same, section 3). */
export function generatorLoss(scores: Float64Array, kind: GeneratorLoss): { loss: number; d: Float64Array } {
  const n = scores.length;
  const d = new Float64Array(n);
  let loss = 0;
  for (let k = 0; k < n; k++) {
    loss += kind === "minimax" ? -softplus(scores[k]) : softplus(-scores[k]);
    d[k] = -sigmoid(kind === "minimax" ? scores[k] : -scores[k]) / n;
  }
  return { loss: loss / n, d };
}

export interface Round {
  lossD: number;
  lossG: number;
  real: number; // the mean of D over real points, in the discriminator's last turn
  fake: number; // and over generated ones
}

export class Game {
  readonly G: Network;
  readonly D: Network;
  readonly settings: GanSettings;
  rounds = 0;
  private readonly density: Density;
  private readonly random: Random;
  private readonly adamG: Adam;
  private readonly adamD: Adam;

  constructor(density: Density, settings: GanSettings, seed: number, width = WIDTH) {
    this.density = density;
    this.settings = settings;
    this.random = new Random(seed);
    this.G = new Network([2, width, width, 2], "relu", this.random);
    this.D = new Network([2, width, width, 1], "relu", this.random);
    // No momentum: with each turn of the opponent the right direction changes.
    this.adamG = new Adam(this.G, [0, 0.9]);
    this.adamD = new Adam(this.D, [0, 0.9]);
  }

  /** One round: the discriminator's turns, then the generator's. */
  round(): Round {
    const { lrD, lrG, turnsD, turnsG } = this.settings;
    const seen = { lossD: 0, lossG: 0, real: 0, fake: 0 };
    for (let k = 0; k < turnsD; k++) {
      const real = drawPoints(this.density, BATCH, this.random);
      Object.assign(seen, this.discriminatorGradient(real, this.random.normals(2 * BATCH)));
      this.adamD.step(lrD);
    }
    for (let k = 0; k < turnsG; k++) {
      seen.lossG = this.generatorGradient(this.random.normals(2 * BATCH));
      this.adamG.step(lrG);
    }
    this.rounds++;
    return seen;
  }

  /** The discriminator's loss on real points and noise, (N, 2) each; its gradient is added to D's. */
  discriminatorGradient(real: Float64Array, z: Float64Array): Omit<Round, "lossG"> {
    const n = real.length / 2;
    const both = new Float64Array(4 * n);
    both.set(real);
    both.set(this.G.forward(z, n), 2 * n);
    const scores = this.D.forward(both, 2 * n);
    const { loss, d } = discriminatorLoss(scores);
    this.D.backward(d);
    const seen = { lossD: loss, real: meanOfD(scores.subarray(0, n)), fake: meanOfD(scores.subarray(n)) };
    if (this.settings.r1 > 0) {
      const few = Math.max(1, Math.floor(n / 4)); // of a random batch
      const weight = this.settings.r1 / 2 / few;
      seen.lossD += weight * this.D.slopePenalty(real.subarray(0, 2 * few), few, weight);
    }
    return seen;
  }

  /** The generator's loss on noise (N, 2); its gradient is added to G's, and D's is left as it was. */
  generatorGradient(z: Float64Array): number {
    const n = z.length / 2;
    const scores = this.D.forward(this.G.forward(z, n), n);
    const { loss, d } = generatorLoss(scores, this.settings.loss);
    this.G.backward(this.D.backward(d, { weights: false, input: true }));
    return loss;
  }

  /** Where the generator's loss would move each of these points (n, 2): minus the gradient of its own loss. */
  pull(x: Float64Array): Float64Array {
    const n = x.length / 2;
    const { d } = generatorLoss(this.D.forward(x, n), this.settings.loss);
    return this.D.backward(
      d.map((value) => -n * value),
      { weights: false, input: true },
    );
  }

  /** D(x) = σ(s(x)) for points (n, 2). */
  answer(x: Float64Array): Float64Array {
    return this.D.forward(x, x.length / 2).map(sigmoid);
  }
}

const meanOfD = (scores: Float64Array): number =>
  scores.reduce((sum, s) => sum + sigmoid(s), 0) / scores.length;
