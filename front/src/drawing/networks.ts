// The course's networks, as `course_utils.explorers.packing` describes them: layers in a row, and the U-Net.

import { inflate } from "../house/inflate.ts";
import {
  add,
  attention,
  convolution,
  each,
  type FeatureMap,
  fold,
  groupNorm,
  growth,
  linear,
  type Matrix,
  meanOverPlaces,
  relu,
  silu,
  softmax,
  unfold,
  vector,
} from "./arithmetic.ts";
import { SIDE } from "./strokes.ts";

interface PackedMatrix {
  rows: number;
  columns: number;
  at: number; // of the first weight among the bytes
  scales: number; // of the first row's scale among the floats
}
interface PackedVector {
  length: number;
  at: number;
}

/** What a layer is made of, weights as they are packed (P) or ready to use. */
type Described<M, V> =
  | { kind: "linear"; weight: M; bias: V }
  | { kind: "conv" | "grow"; weight: M; bias: V; kernel: number; stride: number; padding: number }
  | { kind: "reshape"; shape: [height: number, width: number, channels: number] }
  | { kind: "relu" | "silu" | "tanh" | "mean" };
type Layer = Described<Matrix, Float32Array>;

interface Norm {
  scale: Float32Array;
  shift: Float32Array;
}
interface TimeBlock {
  kind: "time";
  norm: Norm;
  conv1: Layer;
  conv2: Layer;
  scaleShift: Layer;
}
interface AttentionBlock {
  kind: "attention";
  norm: Norm;
  qkv: Layer;
  out: Layer;
}
type Block = TimeBlock | AttentionBlock;

interface UNet {
  width: number;
  heads: number;
  time: Layer[];
  embed: Matrix;
  stem: Layer;
  down: Block[];
  toQuarter: Layer;
  below: Block[];
  middle: Block[];
  back: Block[];
  toHalf: Layer;
  up: Block[];
  norm: Norm;
  out: Layer;
}

interface Coder {
  encoder: Layer[];
  decoder: [first: Described<Matrix, Float32Array> & { kind: "linear" }, ...Layer[]];
}

/** All networks of this explorer, ready to run. */
export interface Networks {
  classifier: Layer[];
  autoencoder: Coder;
  vae: Coder;
  plane: Layer[];
  unet: UNet;
  /** From the largest to 0, the times that the diffusion model knows, and ᾱ at each. */
  times: number[];
  alphaBar: number[];
}

/** What `course_utils.explorers.packing` wrote: where each weight lies, and how many floats come before the bytes. */
export interface Packed {
  floats: number;
  networks: { times: number[] } & Record<string, unknown>;
}

/** The networks from their description and their weights, which are deflated. */
export async function unpack(packed: Packed, deflated: Uint8Array<ArrayBuffer>): Promise<Networks> {
  const buffer = await inflate(deflated, "deflate");
  const floats = new Float32Array(buffer, 0, packed.floats);
  const bytes = new Int8Array(buffer, 4 * packed.floats);

  function matrix({ rows, columns, at, scales }: PackedMatrix): Matrix {
    const data = new Float32Array(rows * columns);
    for (let i = 0; i < data.length; i++) data[i] = bytes[at + i] * floats[scales + Math.floor(i / columns)];
    return { rows, columns, data };
  }
  function ready(part: unknown): unknown {
    if (Array.isArray(part)) return part.map(ready);
    if (typeof part !== "object" || part === null) return part;
    if ("scales" in part) return matrix(part as PackedMatrix);
    if ("length" in part && "at" in part) {
      const { at, length } = part as PackedVector;
      return floats.slice(at, at + length);
    }
    return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, ready(value)]));
  }
  return ready(packed.networks) as Networks;
}

function apply(layer: Layer, x: FeatureMap): FeatureMap {
  switch (layer.kind) {
    case "linear":
      return linear(x, layer.weight, layer.bias);
    case "conv":
      return convolution(x, layer.weight, layer.bias, layer.kernel, layer.stride, layer.padding);
    case "grow":
      return growth(x, layer.weight, layer.bias, layer.kernel, layer.stride, layer.padding);
    case "reshape":
      return { height: layer.shape[0], width: layer.shape[1], channels: layer.shape[2], data: x.data };
    case "relu":
      return each(x, relu);
    case "silu":
      return each(x, silu);
    case "tanh":
      return each(x, Math.tanh);
    case "mean":
      return meanOverPlaces(x);
  }
}

const run = (layers: readonly Layer[], x: FeatureMap): FeatureMap =>
  layers.reduce((y, layer) => apply(layer, y), x);

/** A grey image of 28 × 28 values in [-1, 1] as a map. */
const image = (data: Float32Array): FeatureMap => ({ height: SIDE, width: SIDE, channels: 1, data });

/** The probability of each of the ten classes. */
export const classify = (nets: Networks, x: Float32Array): Float32Array =>
  softmax(run(nets.classifier, image(x)).data);

/** An image's code, and what the decoder makes of it. A VAE's code is its mean: the encoder's first half. */
export function reconstruct(coder: Coder, x: Float32Array): [Float32Array, Float32Array] {
  const code = run(coder.encoder, image(x)).data.slice(0, coder.decoder[0].weight.columns);
  return [code, run(coder.decoder, vector(code)).data];
}

/** The code of two numbers. */
export const place = (nets: Networks, x: Float32Array): Float32Array =>
  run(nets.plane, image(x)).data.slice(0, 2);

// Diffusion --------------------------------------------------------------------------------------------------------

/** The clean image, within [-1, 1], that the network sees in x_t at time t; y: the class asked for, 10: none. */
function seen(net: UNet, x: Float32Array, t: number, y: number): Float32Array {
  const embedding = run(net.time, vector(sinusoids(t, net.width))).data;
  const wide = embedding.length;
  for (let i = 0; i < wide; i++) embedding[i] += net.embed.data[y * wide + i];
  const e = each(vector(embedding), silu);
  const through = (blocks: readonly Block[], x: FeatureMap): FeatureMap =>
    blocks.reduce(
      (h, block) => (block.kind === "time" ? timeBlock(block, h, e) : attentionBlock(block, h, net.heads)),
      x,
    );
  const half = through(net.down, apply(net.stem, fold(image(x))));
  const quarter = through(net.below, apply(net.toQuarter, half));
  const back = through(net.back, add(through(net.middle, quarter), quarter));
  const top = through(net.up, add(apply(net.toHalf, back), half));
  const out = unfold(apply(net.out, each(normed(net.norm, top), silu)));
  return out.data.map((value) => Math.min(Math.max(value, -1), 1));
}

function sinusoids(t: number, width: number): Float32Array {
  const half = width / 2;
  const out = new Float32Array(width);
  for (let i = 0; i < half; i++) {
    const angle = Math.fround(t * Math.fround(10_000 ** (-i / (half - 1))));
    out[i] = Math.sin(angle);
    out[half + i] = Math.cos(angle);
  }
  return out;
}

const normed = ({ scale, shift }: Norm, x: FeatureMap): FeatureMap =>
  groupNorm(
    x,
    (c) => scale[c],
    (c) => shift[c],
  );

function timeBlock(block: TimeBlock, x: FeatureMap, e: FeatureMap): FeatureMap {
  const h = apply(block.conv1, each(normed(block.norm, x), silu));
  const { data: by } = apply(block.scaleShift, e);
  const moved = groupNorm(
    h,
    (c) => 1 + by[c],
    (c) => by[h.channels + c],
  );
  return add(apply(block.conv2, each(moved, silu)), x);
}

const attentionBlock = (block: AttentionBlock, x: FeatureMap, heads: number): FeatureMap =>
  add(apply(block.out, attention(apply(block.qkv, normed(block.norm, x)), heads)), x);

/** √ᾱ x₀ + √(1 - ᾱ) ε. */
export function noised(x0: Float32Array, eps: Float32Array, alphaBar: number): Float32Array {
  const [signal, noise] = [Math.sqrt(alphaBar), Math.sqrt(1 - alphaBar)];
  return x0.map((value, i) => signal * value + noise * eps[i]);
}

/** A step of DDIM from the times' k-th to the one after: the clean image that was seen, and the state after it. */
export function step(nets: Networks, x: Float32Array, k: number, y: number): [Float32Array, Float32Array] {
  const { times, alphaBar, unet } = nets;
  const x0 = seen(unet, x, times[k], y);
  const [signal, noise] = [Math.sqrt(alphaBar[k]), Math.sqrt(1 - alphaBar[k])];
  const eps = x.map((value, i) => (value - signal * x0[i]) / noise);
  return [x0, noised(x0, eps, alphaBar[k + 1])];
}
