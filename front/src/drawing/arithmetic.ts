// What networks are made of, on plain arrays. A map is (height, width, channels) with the channels innermost; every
// layer with weights is one matrix product, of the places' patches with the rows of the weights.

/** Values of a map, place by place: `data[(y * width + x) * channels + c]`. A vector is a map of one place. */
export interface FeatureMap {
  height: number;
  width: number;
  channels: number;
  data: Float32Array;
}

/** Weights (rows, columns), row by row. */
export interface Matrix {
  rows: number;
  columns: number;
  data: Float32Array;
}

export const vector = (data: Float32Array): FeatureMap => ({
  height: 1,
  width: 1,
  channels: data.length,
  data,
});

const scratch: Record<string, Float32Array> = {};

/** An array to be used at once and not kept, one for each name, so that nothing is allocated 60 times a second. */
function lent(name: string, length: number): Float32Array {
  if ((scratch[name]?.length ?? 0) < length) scratch[name] = new Float32Array(length);
  return scratch[name];
}

/** a (n, k) times the rows of b (m, k): out (n, m), plus a bias (m,). Two rows and four columns go together. */
export function product(
  a: Float32Array,
  n: number,
  b: Float32Array,
  m: number,
  k: number,
  out: Float32Array,
  bias: Float32Array | null = null,
): void {
  for (let j = 0; j < m; j += 4) {
    const four = j + 4 <= m;
    for (let i = 0; i < n; i += 2) {
      if (four && i + 2 <= n) eight(a, i * k, b, j * k, k, out, i * m + j, m);
      else
        for (let row = i; row < Math.min(i + 2, n); row++)
          for (let column = j; column < Math.min(j + 4, m); column++) {
            let sum = 0;
            for (let q = 0; q < k; q++) sum += a[row * k + q] * b[column * k + q];
            out[row * m + column] = sum;
          }
    }
  }
  if (bias) for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) out[i * m + j] += bias[j];
}

/** Two rows of a with four of b, into eight places of out. */
function eight(
  a: Float32Array,
  a0: number,
  b: Float32Array,
  b0: number,
  k: number,
  out: Float32Array,
  o0: number,
  m: number,
): void {
  const a1 = a0 + k;
  const b1 = b0 + k;
  const b2 = b1 + k;
  const b3 = b2 + k;
  let s00 = 0;
  let s01 = 0;
  let s02 = 0;
  let s03 = 0;
  let s10 = 0;
  let s11 = 0;
  let s12 = 0;
  let s13 = 0;
  for (let q = 0; q < k; q++) {
    const x0 = a[a0 + q];
    const x1 = a[a1 + q];
    const w0 = b[b0 + q];
    const w1 = b[b1 + q];
    const w2 = b[b2 + q];
    const w3 = b[b3 + q];
    s00 += x0 * w0;
    s01 += x0 * w1;
    s02 += x0 * w2;
    s03 += x0 * w3;
    s10 += x1 * w0;
    s11 += x1 * w1;
    s12 += x1 * w2;
    s13 += x1 * w3;
  }
  out[o0] = s00;
  out[o0 + 1] = s01;
  out[o0 + 2] = s02;
  out[o0 + 3] = s03;
  out[o0 + m] = s10;
  out[o0 + m + 1] = s11;
  out[o0 + m + 2] = s12;
  out[o0 + m + 3] = s13;
}

/** A linear layer: of the whole map as one vector, or of the channels at every place. */
export function linear(x: FeatureMap, weight: Matrix, bias: Float32Array): FeatureMap {
  const { rows, columns, data } = weight;
  const n = x.data.length / columns;
  const out = new Float32Array(n * rows);
  product(x.data, n, data, rows, columns, out, bias);
  return n === 1 ? vector(out) : { ...x, channels: rows, data: out };
}

/** A convolution. weight (out channels, kernel · kernel · in channels). */
export function convolution(
  x: FeatureMap,
  weight: Matrix,
  bias: Float32Array,
  kernel: number,
  stride: number,
  padding: number,
): FeatureMap {
  const { height: h, width: w, channels: c } = x;
  const height = Math.floor((h + 2 * padding - kernel) / stride) + 1;
  const width = Math.floor((w + 2 * padding - kernel) / stride) + 1;
  const size = kernel * kernel * c;
  const patches = lent("patches", height * width * size).fill(0, 0, height * width * size);
  for (let oy = 0, at = 0; oy < height; oy++)
    for (let ox = 0; ox < width; ox++, at += size) {
      const left = ox * stride - padding;
      const from = Math.max(0, -left);
      const until = Math.min(kernel, w - left);
      for (let ky = 0; ky < kernel; ky++) {
        const y = oy * stride - padding + ky;
        if (y < 0 || y >= h) continue;
        const start = (y * w + left) * c;
        let to = at + (ky * kernel + from) * c;
        for (let q = start + from * c; q < start + until * c; q++) patches[to++] = x.data[q];
      }
    }
  const data = new Float32Array(height * width * weight.rows);
  product(patches, height * width, weight.data, weight.rows, size, data, bias);
  return { height, width, channels: weight.rows, data };
}

/** A transposed convolution, which grows the map. weight (out channels · kernel · kernel, in channels). */
export function growth(
  x: FeatureMap,
  weight: Matrix,
  bias: Float32Array,
  kernel: number,
  stride: number,
  padding: number,
): FeatureMap {
  const { height: h, width: w } = x;
  const channels = bias.length;
  const [height, width] = [h, w].map((side) => (side - 1) * stride - 2 * padding + kernel);
  const strokes = lent("strokes", h * w * weight.rows);
  product(x.data, h * w, weight.data, weight.rows, weight.columns, strokes);
  const data = new Float32Array(height * width * channels);
  for (let i = 0; i < data.length; i++) data[i] = bias[i % channels];
  for (let iy = 0, at = 0; iy < h; iy++)
    for (let ix = 0; ix < w; ix++)
      for (let c = 0; c < channels; c++)
        for (let ky = 0; ky < kernel; ky++)
          for (let kx = 0; kx < kernel; kx++, at++) {
            const y = iy * stride - padding + ky;
            const place = ix * stride - padding + kx;
            if (y >= 0 && y < height && place >= 0 && place < width)
              data[(y * width + place) * channels + c] += strokes[at];
          }
  return { height, width, channels, data };
}

/** Each of 8 groups of channels with mean 0 and variance 1 over the map; then a scale and a shift for each channel. */
export function groupNorm(
  x: FeatureMap,
  scale: (c: number) => number,
  shift: (c: number) => number,
  groups = 8,
): FeatureMap {
  const { channels, data } = x;
  const wide = channels / groups;
  const places = data.length / channels;
  const out = new Float32Array(data.length);
  for (let g = 0; g < groups; g++) {
    let sum = 0;
    let squares = 0;
    for (let p = 0; p < places; p++)
      for (let c = g * wide; c < (g + 1) * wide; c++) {
        sum += data[p * channels + c];
        squares += data[p * channels + c] ** 2;
      }
    const mean = sum / (places * wide);
    const factor = 1 / Math.sqrt(squares / (places * wide) - mean * mean + 1e-5);
    for (let c = g * wide; c < (g + 1) * wide; c++) {
      const a = factor * scale(c);
      const b = shift(c) - mean * a;
      for (let p = 0; p < places; p++) out[p * channels + c] = a * data[p * channels + c] + b;
    }
  }
  return { ...x, data: out };
}

/** Attention among the places of a map whose channels are queries, keys and values, each for so many heads. */
export function attention(qkv: FeatureMap, heads: number): FeatureMap {
  const places = qkv.height * qkv.width;
  const channels = qkv.channels / 3;
  const wide = channels / heads;
  const data = new Float32Array(places * channels);
  const weights = new Float32Array(places);
  for (let head = 0; head < heads; head++)
    for (let p = 0; p < places; p++) {
      const query = p * qkv.channels + head * wide;
      for (let other = 0; other < places; other++) {
        const key = other * qkv.channels + channels + head * wide;
        let sum = 0;
        for (let q = 0; q < wide; q++) sum += qkv.data[query + q] * qkv.data[key + q];
        weights[other] = sum / Math.sqrt(wide);
      }
      softmax(weights);
      for (let other = 0; other < places; other++) {
        const value = other * qkv.channels + 2 * channels + head * wide;
        for (let q = 0; q < wide; q++)
          data[p * channels + head * wide + q] += weights[other] * qkv.data[value + q];
      }
    }
  return { height: qkv.height, width: qkv.width, channels, data };
}

/** exp(x) / Σ exp(x), in place; returned too. */
export function softmax(x: Float32Array): Float32Array {
  const largest = x.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] = Math.exp(x[i] - largest);
  for (let i = 0; i < x.length; i++) x[i] /= sum;
  return x;
}

/** A function of each value: a new map. */
export function each(x: FeatureMap, f: (value: number) => number): FeatureMap {
  const data = new Float32Array(x.data.length);
  for (let i = 0; i < data.length; i++) data[i] = f(x.data[i]);
  return { ...x, data };
}

export const relu = (value: number): number => Math.max(value, 0);
export const silu = (value: number): number => value / (1 + Math.exp(-value));

/** The sum of two maps of one shape, into the first. */
export function add(x: FeatureMap, y: FeatureMap): FeatureMap {
  for (let i = 0; i < x.data.length; i++) x.data[i] += y.data[i];
  return x;
}

/** The mean of each channel over the map. */
export function meanOverPlaces(x: FeatureMap): FeatureMap {
  const out = new Float32Array(x.channels);
  const places = x.height * x.width;
  for (let i = 0; i < x.data.length; i++) out[i % x.channels] += x.data[i] / places;
  return vector(out);
}

/** A grey image whose squares of 2 × 2 pixels become places with four channels. */
export function fold(x: FeatureMap): FeatureMap {
  const [height, width] = [x.height / 2, x.width / 2];
  const data = new Float32Array(x.data.length);
  for (let i = 0; i < data.length; i++) data[i] = x.data[unfolded(i, width)];
  return { height, width, channels: 4, data };
}

/** `fold` undone. */
export function unfold(x: FeatureMap): FeatureMap {
  const data = new Float32Array(x.data.length);
  for (let i = 0; i < data.length; i++) data[unfolded(i, x.width)] = x.data[i];
  return { height: 2 * x.height, width: 2 * x.width, channels: 1, data };
}

/** Where in the image the i-th value of the folded one lies, which is `width` places wide. */
function unfolded(i: number, width: number): number {
  const place = i >> 2;
  const y = 2 * Math.floor(place / width) + ((i >> 1) & 1);
  return y * 2 * width + 2 * (place % width) + (i & 1);
}
