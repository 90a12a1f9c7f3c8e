// The networks for a test in another language: `node networks.ts FOLDER` reads packed.json, weights.bin, and as float32
// images.bin (784 each), noise.bin (784) and ink.bin (140 × 140 each); writes outputs.json, and prepared.bin (784 each).
import { readFile, writeFile } from "node:fs/promises";
import { argv } from "node:process";
import * as nets from "../src/drawing/networks.ts";
import { normalised } from "../src/drawing/strokes.ts";

const SIZE = 140;
const folder = argv[2];
const bytes = async (name: string) => new Uint8Array(await readFile(`${folder}/${name}`));
const floats = async (name: string) => new Float32Array((await bytes(name)).buffer);
const list = (values: Float32Array): number[] => [...values];

const packed = JSON.parse(await readFile(`${folder}/packed.json`, "utf8"));
const known = await nets.unpack(packed, await bytes("weights.bin"));
const images = await floats("images.bin");
const noise = await floats("noise.bin");
const outputs = [];
for (let at = 0; at < images.length; at += 784) {
  const x = images.slice(at, at + 784);
  const begin = performance.now();
  const classes = list(nets.classify(known, x));
  const autoencoder = nets.reconstruct(known.autoencoder, x).map(list);
  const vae = nets.reconstruct(known.vae, x).map(list);
  const plane = list(nets.place(known, x));
  const quick = performance.now() - begin; // milliseconds
  const seen = [];
  let state = nets.noised(x, noise, known.alphaBar[1]);
  for (let k = 1; k < known.times.length - 1; k++) {
    const [x0, next] = nets.step(known, state, k, (at / 784) % 11);
    seen.push(list(x0));
    state = next;
  }
  const step = (performance.now() - begin - quick) / seen.length;
  outputs.push({ classes, autoencoder, vae, plane, seen, quick, step });
}
await writeFile(`${folder}/outputs.json`, JSON.stringify(outputs));

const ink = await floats("ink.bin");
const prepared = new Float32Array((ink.length / SIZE ** 2) * 784);
for (let k = 0; k < ink.length / SIZE ** 2; k++)
  prepared.set(normalised(ink.subarray(k * SIZE ** 2, (k + 1) * SIZE ** 2), SIZE)!, k * 784);
await writeFile(`${folder}/prepared.bin`, new Uint8Array(prepared.buffer));
