// That the playgrounds learn what they show, from three seeds each, and that without training nothing of it is there.
// Their numbers are compared with PyTorch's in tests/test_playground.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DENSITIES, drawPoints, energyDistance, meanDistance, quality } from "../src/playground/densities.ts";
import { bestLoss, Diffusion, idealNoise, noisy, wayBack } from "../src/playground/diffusion.ts";
import { Game } from "../src/playground/gan.ts";
import { Random } from "../src/playground/random.ts";
import { DIFFUSION_FIRST, GAN_FIRST } from "../src/playground/settings.ts";

const ring = DENSITIES.gaussians;
const moons = DENSITIES.moons;
const SEEDS = [0, 1, 2];
const z = new Random(100).normals(2000);

function played(
  rounds: number,
  seed: number,
  settings = {},
): { covered: number; near: number; away: number } {
  const game = new Game(ring, { ...GAN_FIRST, ...settings }, seed);
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

function ends(see: (x: Float64Array, t: number) => Float64Array, steps = 50): Float64Array {
  let x: Float64Array = new Float64Array();
  for (const state of wayBack(see, new Random(102).normals(1000), steps, 0, new Random(103))) x = state.x;
  return x;
}

test("diffusion learns the moons: most points end near them, untrained none do; ten steps back are enough, three too few", () => {
  const best = bestLoss(moons, 4000, new Random(105));
  for (const seed of SEEDS) {
    const model = new Diffusion(moons, DIFFUSION_FIRST.lr, seed);
    const back = (steps: number) =>
      quality(
        moons,
        ends((x, t) => model.noise(x, t), steps),
      );
    assert.ok(back(50).near < 0.1);
    const first = model.step();
    while (model.steps < 400) model.step();
    let loss = 0;
    while (model.steps < 600) loss += model.step() / 200;
    assert.ok(first > 0.8 && loss > best - 0.02 && loss < best + 0.06, `${first} ${loss} ${best}`);
    const [three, ten, fifty, hundred] = [3, 10, 50, 100].map(back);
    const said = JSON.stringify({ three, ten, fifty, hundred });
    assert.ok(fifty.covered === 8 && fifty.near > 0.7, said);
    assert.ok(three.covered <= 6 && three.near < fifty.near - 0.15, said);
    assert.ok(ten.covered === 8 && ten.near > hundred.near - 0.05, said);
  }
  const ideal = ends((x, t) => idealNoise(moons, x, t));
  assert.ok(quality(moons, ideal).near > 0.97);
});

test("the arrows come near the ideal ones where noisy data lie, first where t is large", () => {
  for (const seed of SEEDS) {
    const model = new Diffusion(moons, DIFFUSION_FIRST.lr, seed);
    const random = new Random(104);
    const [x0, eps] = [drawPoints(moons, 500, random), random.normals(1000)];
    const off = (t: number) => {
      const x = noisy(x0, t, eps);
      const best = idealNoise(moons, x, t);
      return model.noise(x, t).reduce((sum, value, k) => sum + (value - best[k]) ** 2, 0) / 1000;
    };
    const [coarse, fine] = [off(500), off(50)]; // the untrained network's arrows are nearly 0
    assert.ok(coarse > 0.5 && fine > 0.25, `${coarse} ${fine}`);
    while (model.steps < 100) model.step();
    assert.ok(off(500) < 0.05 * coarse && off(50) > 0.7 * fine, `${off(500)} ${off(50)}`);
    while (model.steps < 600) model.step();
    assert.ok(off(500) < 0.02 * coarse && off(50) < 0.7 * fine, `${off(500)} ${off(50)}`);
  }
});

test("the same seed plays the same game, another one another", () => {
  const [a, b, c] = [7, 7, 8].map((seed) => played(3, seed).away);
  assert.equal(a, b);
  assert.notEqual(a, c);
});
