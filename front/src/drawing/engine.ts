// Answers drawings. The newest one wins: an answer to an older is given up between two runs of a network.

import type { Shared } from "./address.ts";
import * as nets from "./networks.ts";
import { prepared, simplified } from "./strokes.ts";

export interface Request extends Shared {
  number: number;
}

/** How a network reads an image. */
export interface Reading {
  digit: number;
  confidence: number;
}

export interface Quick {
  kind: "quick";
  number: number;
  image: Float32Array;
  classes: Float32Array;
  autoencoder: Float32Array;
  vae: Float32Array;
  place: Float32Array;
}
/** The image made noisy, the clean image that was seen at each step, the last of them the result. */
export interface Film {
  kind: "film";
  number: number;
  /** Which of the times it starts at. */
  start: number;
  frames: Float32Array[];
  reading: Reading;
}
export interface Empty {
  kind: "empty";
  number: number;
}
/** Something went wrong, which the browser names so; the next request is answered nevertheless. */
export interface Failure {
  kind: "failure";
  number: number;
  reason: string;
}
export type Answer = Quick | Film | Empty | Failure;

export class Engine {
  #newest: Request | null = null;
  #running = false;
  readonly #known: nets.Networks;
  readonly #post: (answer: Answer) => void;

  constructor(known: nets.Networks, post: (answer: Answer) => void) {
    this.#known = known;
    this.#post = post;
  }

  ask(request: Request): void {
    this.#newest = request;
    if (!this.#running) this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let done: Request | null = null; done !== this.#newest; ) {
      await pause(); // others may have arrived
      done = this.#newest;
      const { number } = done!;
      await this.#answer(done!).catch((error) =>
        this.#post({ kind: "failure", number, reason: String(error) }),
      );
    }
    this.#running = false;
  }

  async #answer(request: Request): Promise<void> {
    const { number, strokes, centred, wish, seed } = request;
    const known = this.#known;
    const image = prepared(simplified(strokes), centred);
    if (!image) return this.#post({ kind: "empty", number });
    const classes = nets.classify(known, image);
    const [, autoencoder] = nets.reconstruct(known.autoencoder, image);
    const [, vae] = nets.reconstruct(known.vae, image);
    this.#post({ kind: "quick", number, image, classes, autoencoder, vae, place: nets.place(known, image) });
    const eps = normals(image.length, seed);
    const last = known.times.length - 1;
    for (let start = last - 1; start > 0; start--) {
      let state = nets.noised(image, eps, known.alphaBar[start]);
      const frames = [state];
      for (let k = start; k < last; k++) {
        await pause();
        if (request !== this.#newest) return;
        const [seen, next] = nets.step(known, state, k, wish);
        frames.push(seen);
        state = next;
      }
      this.#post({ kind: "film", number, start, frames, reading: read(nets.classify(known, state)) });
    }
  }
}

export function read(classes: Float32Array): Reading {
  const confidence = classes.reduce((a, b) => Math.max(a, b));
  return { digit: classes.indexOf(confidence), confidence };
}

/** Lets messages in. */
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/** So many draws from N(0, 1), the same for the same seed: Box and Muller, over mulberry32 by T. Ettinger. */
export function normals(count: number, seed: number): Float32Array {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}
