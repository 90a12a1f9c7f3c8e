// That the playgrounds learn what they show, from three seeds each, and that without training nothing of it is there.
// Their numbers are compared with PyTorch's in tests/test_playground.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DIFFUSION_LR, GAN_DEFAULTS } from "../src/playground/defaults.ts";
import { DENSITIES, drawPoints, energyDistance, meanDistance, quality } from "../src/playground/densities.ts";
import { Diffusion, idealNoise, wayBack } from "../src/playground/diffusion.ts";
import { Game } from "../src/playground/gan.ts";
import { Random } from "../src/playground/random.ts";

const ring = DENSITIES.gaussians;
const moons = DENSITIES.moons;
const SEEDS = [0, 1, 2];
const z = new Random(100).normals(2000);

function played(
  rounds: number,
  seed: number,
  settings = {},
): { covered: number; near: number; away: number } {
  const game = new Game(ring, { ...GAN_DEFAULTS, ...settings }, seed);
  while (game.rounds < rounds) game.round();
  const made = game.G.forward(z, 1000);
  const real = drawPoints(ring, 1000, new Random(101));
  return { ...quality(ring, made), away: energyDistance(real, meanDistance(real, real), made) };
}

test("the game on the ring finds all eight modes, and most points are near one; untrained it has none", () => {
  for (const seed of SEEDS) {
    const [before, after] = [played(0, seed), played(600, seed)];
    assert.ok(before.covered <= 1 && before.near < 0.1 && before.away > 0.5, JSON.stringify(before));
    assert.ok(after.covered === 8 && after.near > 0.5 && after.away < 0.1, JSON.stringify(after));
  }
});

test("five turns of the generator to one, without a penalty, collapse; the penalty mends them", () => {
  for (const seed of SEEDS) {
    const collapsed = played(300, seed, { turnsG: 5, r1: 0 });
    const mended = played(400, seed, { turnsG: 5, r1: 20 });
    assert.ok(collapsed.covered <= 2 && collapsed.away > 1, JSON.stringify(collapsed));
    assert.ok(mended.covered >= 7 && mended.away < 0.3, JSON.stringify(mended));
  }
});

function ends(see: (x: Float64Array, t: number) => Float64Array): Float64Array {
  let x: Float64Array = new Float64Array();
  for (const state of wayBack(see, new Random(102).normals(1000), 50, 0, new Random(103))) x = state.x;
  return x;
}

test("diffusion learns the moons: most points end near them; untrained none do; the ideal arrows bring nearly all", () => {
  for (const seed of SEEDS) {
    const model = new Diffusion(moons, DIFFUSION_LR, seed);
    const share = () =>
      quality(
        moons,
        ends((x, t) => model.noise(x, t)),
      );
    assert.ok(share().near < 0.1);
    while (model.steps < 600) model.step();
    const after = share();
    assert.ok(after.covered === 8 && after.near > 0.7, JSON.stringify(after));
  }
  assert.ok(
    quality(
      moons,
      ends((x, t) => idealNoise(moons, x, t)),
    ).near > 0.97,
  );
});

test("what a step learns is in the arrows: they come near the ideal ones where noisy data lie", () => {
  const model = new Diffusion(moons, DIFFUSION_LR, 0);
  const x = drawPoints(moons, 500, new Random(104)).map((value) => 0.8 * value);
  const best = idealNoise(moons, x, 200);
  const square = (values: Float64Array) => values.reduce((sum, v) => sum + v * v, 0) / values.length;
  const error = () => square(model.noise(x, 200).map((value, k) => value - best[k])) / square(best);
  assert.ok(error() > 0.5);
  while (model.steps < 600) model.step();
  assert.ok(error() < 0.2, String(error()));
});

test("the same seed plays the same game, another one another", () => {
  const [a, b, c] = [7, 7, 8].map((seed) => played(3, seed).away);
  assert.equal(a, b);
  assert.notEqual(a, c);
});
