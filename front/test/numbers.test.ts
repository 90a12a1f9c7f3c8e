import assert from "node:assert/strict";
import { test } from "node:test";
import { minus, niceTicks, offset, replaced, valueAt } from "../src/house/numbers.ts";

test("a number is printed with a minus, and zero without one", () => {
  assert.equal(minus(-1.5), "−1.5");
  assert.equal(minus("-0.00"), "0.00");
  assert.equal(minus("nearest"), "nearest");
});

test("strides find the value that belongs to a position", () => {
  const values = [0, 1, 2].flatMap((i) => [0, 1].map((j) => `${i}${j}`));
  for (const i of [0, 1, 2])
    for (const j of [0, 1]) assert.equal(valueAt(values, [2, 0, 1], [i, 7, j]), `${i}${j}`);
  assert.equal(offset([], []), 0);
  assert.deepEqual(replaced([4, 5, 6], 1, 0), [4, 0, 6]);
});

for (const [low, high] of [
  [0, 1],
  [-3.2, 2.9],
  [0, 1000],
  [-0.013, 0.017],
  [5, 5.5],
] as const) {
  test(`ticks between ${low} and ${high} are round, evenly spaced and inside`, () => {
    const ticks = niceTicks([low, high]);
    assert.ok(ticks.length >= 2 && ticks.length <= 7, String(ticks));
    assert.ok(ticks.every((t) => t >= low - 1e-9 && t <= high + 1e-9));
    const step = ticks[1] - ticks[0];
    for (const [k, t] of ticks.entries())
      assert.ok(Math.abs(t - ticks[0] - k * step) < 1e-9 * Math.max(1, Math.abs(t)));
    assert.ok([1, 2, 5].includes(Number(step.toExponential(6).split("e")[0])), `step ${step}`);
  });
}
