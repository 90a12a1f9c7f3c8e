import assert from "node:assert/strict";
import { test } from "node:test";
import { dotsNow, nearestPoint, nodeAt, nodePosition, placeText } from "../src/explorer/plane.ts";
import type { PadState } from "../src/explorer/types.ts";

const pad = {
  ...{ kind: "pad", name: "z", size: 12, columns: 4, rows: 3, x: [-3, 3], y: [0, 1] },
  ...{ points: [0, 0, 1, 1, 5, 5, 6, 6], count: 2, strides: [1, 0] },
} as unknown as PadState;

test("each node is the node at its own place, and row 0 is at the bottom", () => {
  for (let k = 0; k < 12; k++) assert.equal(nodeAt(pad, nodePosition(pad, k)), k);
  assert.deepEqual(nodePosition(pad, 0), [-3, 0]);
  assert.deepEqual(nodePosition(pad, 11), [3, 1]);
});

test("places outside the map belong to its edge", () => {
  assert.equal(nodeAt(pad, [-100, -100]), 0);
  assert.equal(nodeAt(pad, [100, 100]), 11);
});

test("the dots follow the control that they depend on", () => {
  assert.deepEqual(dotsNow(pad, [0, 7]), [0, 0, 1, 1]);
  assert.deepEqual(dotsNow(pad, [1, 7]), [5, 5, 6, 6]);
  assert.equal(dotsNow({ ...pad, points: undefined }, [0, 7]), null);
});

test("the nearest point is nearer than all others", () => {
  const points = Array.from({ length: 60 }, (_, k) => Math.sin(7 * k) * 3);
  for (let k = 0; k < 40; k++) {
    const at = [3 * Math.cos(k), 3 * Math.sin(3 * k)] as const;
    const away = (i: number) => Math.hypot(points[2 * i] - at[0], points[2 * i + 1] - at[1]);
    const best = nearestPoint(points, at);
    for (let i = 0; i < 30; i++) assert.ok(away(best) <= away(i));
  }
});

test("a place is told with decimals that fit the map", () => {
  assert.equal(placeText(pad, [-1.234, 0.5]), "z = (−1.23, 0.50)");
  assert.equal(placeText({ ...pad, x: [0, 2000] }, [1234.5, 0]), "z = (1235, 0)");
});
