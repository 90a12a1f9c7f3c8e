// A small multilayer perceptron with its gradients, and Adam. Arrays are rows of a matrix, one after the other.
import type { Random } from "./random.ts";

export type Activation = "relu" | "silu";

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

interface Layer {
  inputs: number;
  outputs: number;
  weight: number; // where its weight (outputs, inputs) begins among all parameters
  bias: number;
}

/**
 * Linear layers with an activation between them. Parameters and gradients lie in one array each, in the order of
 * PyTorch's `parameters_to_vector`: weight (outputs, inputs) and bias of each layer in turn.
 */
export class Network {
  readonly layers: Layer[] = [];
  readonly parameters: Float64Array;
  readonly gradient: Float64Array;
  readonly sizes: readonly number[];
  readonly activation: Activation;
  // Of the last forward run: what entered each layer, and what left it before the activation.
  private entered: Float64Array[] = [];
  private left: Float64Array[] = [];
  private rows = 0;

  /** sizes: the number of values before and after each layer. First weights as `torch.nn.Linear` draws them. */
  constructor(sizes: readonly number[], activation: Activation, random: Random) {
    this.sizes = sizes;
    this.activation = activation;
    let place = 0;
    for (let k = 0; k + 1 < sizes.length; k++) {
      const [inputs, outputs] = [sizes[k], sizes[k + 1]];
      this.layers.push({ inputs, outputs, weight: place, bias: place + inputs * outputs });
      place += (inputs + 1) * outputs;
    }
    this.parameters = new Float64Array(place);
    this.gradient = new Float64Array(place);
    for (const { inputs, outputs, weight } of this.layers) {
      const bound = 1 / Math.sqrt(inputs);
      for (let k = weight; k < weight + (inputs + 1) * outputs; k++)
        this.parameters[k] = bound * (2 * random.uniform() - 1);
    }
  }

  /** x (n, inputs) to (n, outputs). What `backward` needs is kept. */
  forward(x: Float64Array, n: number): Float64Array {
    this.rows = n;
    this.entered = [];
    this.left = [];
    let h = x;
    for (const [k, layer] of this.layers.entries()) {
      const z = new Float64Array(n * layer.outputs);
      affine(h, this.parameters, layer, z, n, true);
      this.entered.push(h);
      this.left.push(z);
      if (k + 1 === this.layers.length) return z;
      h = this.activation === "relu" ? relu(z) : silu(z);
    }
    return h;
  }

  /**
   * From the gradient of a loss in the last output (n, outputs): that in the parameters is added to `gradient`
   * (unless `weights` is false), and that in the input is returned, (n, inputs), if asked for.
   */
  backward(output: Float64Array, { weights = true, input = false } = {}): Float64Array {
    let d = output;
    for (let k = this.layers.length - 1; k >= 0; k--) {
      const layer = this.layers[k];
      if (weights) addOuter(d, this.entered[k], layer, this.gradient, this.rows, true);
      if (k === 0 && !input) break;
      const back = new Float64Array(this.rows * layer.inputs);
      transposed(d, this.parameters, layer, back, this.rows);
      if (k > 0) this.throughActivation(back, this.left[k - 1]);
      d = back;
    }
    return d;
  }

  /**
   * Σ ‖∇ₓ s‖² over the rows x (n, inputs) of a ReLU network with one output s. Its gradient in the parameters, times
   * `weight`, is added to `gradient`.
   *
   * ∇ₓ s = W₁ᵀ M₁ W₂ᵀ M₂ … w with the ReLU's masks M, which do not change with the weights. So its derivative along
   * u = 2 ∇ₓ s needs no second derivative: u is sent forwards through the same masks.
   */
  slopePenalty(x: Float64Array, n: number, weight: number): number {
    if (this.activation !== "relu") throw new Error("slopePenalty is exact for a ReLU network only");
    this.forward(x, n);
    const back: Float64Array[] = []; // at each layer's output, the gradient of s
    let d: Float64Array = new Float64Array(n).fill(1);
    for (let k = this.layers.length - 1; k >= 0; k--) {
      back[k] = d;
      const before = new Float64Array(n * this.layers[k].inputs);
      transposed(d, this.parameters, this.layers[k], before, n);
      if (k > 0) this.throughActivation(before, this.left[k - 1]);
      d = before;
    }
    let total = 0;
    for (const value of d) total += value * value;
    let u = d.map((value) => 2 * weight * value);
    for (const [k, layer] of this.layers.entries()) {
      addOuter(back[k], u, layer, this.gradient, n, false);
      if (k + 1 === this.layers.length) break;
      const next = new Float64Array(n * layer.outputs);
      affine(u, this.parameters, layer, next, n, false);
      this.throughActivation(next, this.left[k]);
      u = next;
    }
    return total;
  }

  private throughActivation(d: Float64Array, z: Float64Array): void {
    if (this.activation === "relu") {
      for (let k = 0; k < d.length; k++) if (z[k] <= 0) d[k] = 0;
    } else {
      for (let k = 0; k < d.length; k++) {
        const s = sigmoid(z[k]);
        d[k] *= s * (1 + z[k] * (1 - s));
      }
    }
  }
}

const relu = (z: Float64Array): Float64Array => {
  const h = new Float64Array(z.length);
  for (let k = 0; k < z.length; k++) h[k] = Math.max(z[k], 0);
  return h;
};

const silu = (z: Float64Array): Float64Array => {
  const h = new Float64Array(z.length);
  for (let k = 0; k < z.length; k++) h[k] = z[k] * sigmoid(z[k]);
  return h;
};

/** z = x Wᵀ (+ b). Four outputs at a time, so that each x is read once for four products. */
function affine(
  x: Float64Array,
  p: Float64Array,
  layer: Layer,
  z: Float64Array,
  n: number,
  bias: boolean,
): void {
  const { inputs, outputs, weight: w, bias: b } = layer;
  const whole = outputs - (outputs % 4);
  for (let row = 0; row < n; row++) {
    const xs = row * inputs;
    const zs = row * outputs;
    for (let j = 0; j < whole; j += 4) {
      const [w0, w1, w2, w3] = [
        w + j * inputs,
        w + (j + 1) * inputs,
        w + (j + 2) * inputs,
        w + (j + 3) * inputs,
      ];
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let i = 0; i < inputs; i++) {
        const value = x[xs + i];
        s0 += value * p[w0 + i];
        s1 += value * p[w1 + i];
        s2 += value * p[w2 + i];
        s3 += value * p[w3 + i];
      }
      z[zs + j] = s0;
      z[zs + j + 1] = s1;
      z[zs + j + 2] = s2;
      z[zs + j + 3] = s3;
    }
    for (let j = whole; j < outputs; j++) {
      let s = 0;
      for (let i = 0; i < inputs; i++) s += x[xs + i] * p[w + j * inputs + i];
      z[zs + j] = s;
    }
    if (bias) for (let j = 0; j < outputs; j++) z[zs + j] += p[b + j];
  }
}

/** back = d W. */
function transposed(d: Float64Array, p: Float64Array, layer: Layer, back: Float64Array, n: number): void {
  const { inputs, outputs, weight: w } = layer;
  const whole = outputs - (outputs % 4);
  for (let row = 0; row < n; row++) {
    const bs = row * inputs;
    const ds = row * outputs;
    for (let j = 0; j < whole; j += 4) {
      const [d0, d1, d2, d3] = [d[ds + j], d[ds + j + 1], d[ds + j + 2], d[ds + j + 3]];
      if (d0 === 0 && d1 === 0 && d2 === 0 && d3 === 0) continue;
      const [w0, w1, w2, w3] = [
        w + j * inputs,
        w + (j + 1) * inputs,
        w + (j + 2) * inputs,
        w + (j + 3) * inputs,
      ];
      for (let i = 0; i < inputs; i++)
        back[bs + i] += d0 * p[w0 + i] + d1 * p[w1 + i] + d2 * p[w2 + i] + d3 * p[w3 + i];
    }
    for (let j = whole; j < outputs; j++) {
      const value = d[ds + j];
      for (let i = 0; i < inputs; i++) back[bs + i] += value * p[w + j * inputs + i];
    }
  }
}

/** dW += dᵀ x (and db += Σ d). Four rows at a time, so that each weight is read and written once for four products. */
function addOuter(
  d: Float64Array,
  x: Float64Array,
  layer: Layer,
  g: Float64Array,
  n: number,
  bias: boolean,
): void {
  const { inputs, outputs, weight: w, bias: b } = layer;
  const whole = n - (n % 4);
  for (let row = 0; row < whole; row += 4) {
    const [x0, x1, x2, x3] = [row * inputs, (row + 1) * inputs, (row + 2) * inputs, (row + 3) * inputs];
    for (let j = 0; j < outputs; j++) {
      const at = row * outputs + j;
      const [d0, d1, d2, d3] = [d[at], d[at + outputs], d[at + 2 * outputs], d[at + 3 * outputs]];
      if (d0 === 0 && d1 === 0 && d2 === 0 && d3 === 0) continue;
      const ws = w + j * inputs;
      for (let i = 0; i < inputs; i++)
        g[ws + i] += d0 * x[x0 + i] + d1 * x[x1 + i] + d2 * x[x2 + i] + d3 * x[x3 + i];
      if (bias) g[b + j] += d0 + d1 + d2 + d3;
    }
  }
  for (let row = whole; row < n; row++)
    for (let j = 0; j < outputs; j++) {
      const value = d[row * outputs + j];
      for (let i = 0; i < inputs; i++) g[w + j * inputs + i] += value * x[row * inputs + i];
      if (bias) g[b + j] += value;
    }
}

/** Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1, with PyTorch's ε = 1e-8. */
export class Adam {
  private readonly mean: Float64Array;
  private readonly square: Float64Array;
  private steps = 0;
  private readonly network: Network;
  private readonly betas: readonly [number, number];

  constructor(network: Network, betas: readonly [number, number]) {
    this.network = network;
    this.betas = betas;
    this.mean = new Float64Array(network.parameters.length);
    this.square = new Float64Array(network.parameters.length);
  }

  /** One step along the network's gradient, which is 0 afterwards. */
  step(lr: number): void {
    const { parameters, gradient } = this.network;
    const [b1, b2] = this.betas;
    this.steps++;
    const first = lr / (1 - b1 ** this.steps);
    const second = Math.sqrt(1 - b2 ** this.steps);
    for (let k = 0; k < parameters.length; k++) {
      const g = gradient[k];
      this.mean[k] = b1 * this.mean[k] + (1 - b1) * g;
      this.square[k] = b2 * this.square[k] + (1 - b2) * g * g;
      parameters[k] -= (first * this.mean[k]) / (Math.sqrt(this.square[k]) / second + 1e-8);
    }
    gradient.fill(0);
  }
}
