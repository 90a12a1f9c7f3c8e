import assert from "node:assert/strict";
import { test } from "node:test";
import * as address from "../src/drawing/address.ts";
import * as arithmetic from "../src/drawing/arithmetic.ts";
import { DIGITS } from "../src/drawing/digits.ts";
import { normals } from "../src/drawing/engine.ts";
import {
  erased,
  moved,
  normalised,
  prepared,
  rasterised,
  SIDE,
  type Stroke,
  simplified,
} from "../src/drawing/strokes.ts";

const near = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

test("a product of matrices of any size is the sum of products", () => {
  for (const [n, m, k] of [
    [1, 1, 1],
    [3, 7, 5],
    [4, 8, 9],
  ]) {
    const [a, b] = [normals(n * k, 1), normals(m * k, 2)];
    const bias = normals(m, 3);
    const out = new Float32Array(n * m);
    arithmetic.product(a, n, b, m, k, out, bias);
    const wanted = Array.from({ length: n * m }, (_, i) => {
      const [row, column] = [Math.floor(i / m), i % m];
      return (
        bias[column] + a.slice(row * k, (row + 1) * k).reduce((sum, x, q) => sum + x * b[column * k + q], 0)
      );
    });
    assert.ok(near(out, wanted) < 1e-5);
  }
});

test("to unfold is to undo a fold", () => {
  const data = normals(6 * 4, 1);
  const folded = arithmetic.fold({ height: 6, width: 4, channels: 1, data });
  assert.deepEqual([...folded.data.slice(0, 4)], [data[0], data[1], data[4], data[5]]);
  assert.deepEqual(arithmetic.unfold(folded), { height: 6, width: 4, channels: 1, data });
});

test("normals have mean 0 and variance 1, and come back with their seed", () => {
  const draws = normals(20_000, 7);
  const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
  const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
  assert.ok(Math.abs(mean) < 0.03, `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 0.05, `variance ${variance}`);
  assert.deepEqual(normals(5, 7), draws.slice(0, 5));
  assert.notDeepEqual(normals(5, 8), draws.slice(0, 5));
});

/** The first and the last place with ink along both axes, and the centre of the ink's mass. */
function measured(x: Float32Array) {
  const places = [...x.keys()].filter((i) => x[i] > -0.99);
  const axes = [places.map((i) => i % SIDE), places.map((i) => Math.floor(i / SIDE))];
  const mass = x.reduce((sum, value) => sum + value + 1, 0);
  const centre = [(i: number) => i % SIDE, (i: number) => Math.floor(i / SIDE)].map(
    (axis) => x.reduce((sum, value, i) => sum + (value + 1) * (axis(i) + 0.5), 0) / mass,
  );
  const spans = axes.map((at) => Math.max(...at) - Math.min(...at) + 1);
  return { spans, centre };
}

for (const [digit, strokes] of DIGITS.entries())
  test(`a ${digit} is as large and lies where MNIST's digits do, wherever it was drawn`, () => {
    for (const where of [{}, { scale: 0.4, right: -0.2, down: 0.25 }, { scale: 1.3, right: 0.1 }]) {
      const { spans, centre } = measured(prepared(moved(strokes, where), true)!);
      assert.equal(Math.max(...spans), 20);
      for (const at of centre) assert.ok(at >= 13.99 && at < 15.01, String(at));
    }
    const { spans } = measured(prepared(moved(strokes, { scale: 0.4, right: -0.2 }), false)!);
    assert.ok(Math.max(...spans) < 12, "as it stands it stays small");
  });

test("where and how large a digit was drawn makes no difference", () => {
  for (const strokes of DIGITS) {
    const [one, other] = [{}, { scale: 0.5, right: 0.2 }].map((by) => prepared(moved(strokes, by), true)!);
    assert.ok(near(one, other) < 0.02, String(near(one, other)));
  }
});

test("a picture of ink is normalised by its box and its mass", () => {
  const ink = new Float32Array(140 * 140);
  for (let y = 30; y < 130; y++) for (let x = 10; x < 60; x++) ink[y * 140 + x] = 1; // 50 × 100
  const { spans, centre } = measured(normalised(ink, 140)!.map((value) => 2 * value - 1));
  assert.deepEqual(spans, [10, 20]);
  assert.deepEqual(centre.map(Math.round), [14, 14]);
  assert.equal(normalised(new Float32Array(140 * 140), 140), null);
  assert.equal(prepared([], true), null);
});

test("a dot and a line of one point can be drawn", () => {
  for (const centred of [true, false]) {
    const x = prepared([[[0.9, 0.1]]], centred)!;
    assert.ok(x.every((value) => value >= -1 && value <= 1));
    assert.ok(Math.max(...x) > 0.5);
  }
});

test("a round pen covers the area of a stadium", () => {
  const ink = rasterised(
    [
      [
        [0.25, 0.5],
        [0.75, 0.5],
      ],
    ],
    200,
    20,
  );
  const area = ink.reduce((sum, value) => sum + value, 0);
  assert.ok(Math.abs(area - (100 * 20 + Math.PI * 100)) < 25, String(area));
});

test("an eraser cuts a stroke in two and leaves others alone", () => {
  const line: Stroke = [
    [0.1, 0.5],
    [0.9, 0.5],
  ];
  const parts = erased([line], [0.5, 0.5], [0.5, 0.5], 0.1);
  assert.equal(parts.length, 2);
  for (const part of parts) for (const [x] of part) assert.ok(Math.abs(x - 0.5) > 0.1);
  assert.ok(Math.abs(parts[0].at(-1)![0] - 0.4) < 0.03 && Math.abs(parts[1][0][0] - 0.6) < 0.03);
  assert.equal(erased([line], [0.1, 0.9], [0.9, 0.9], 0.1).length, 1);
  assert.deepEqual(erased([line], [0.1, 0.45], [0.9, 0.45], 0.1), []);
});

test("to turn by a full circle, and back and forth, changes nothing", () => {
  const [strokes] = [DIGITS[5]];
  const flat = (all: readonly Stroke[]) => all.flat(2);
  assert.ok(near(flat(moved(strokes, { degrees: 360 })), flat(strokes)) < 1e-9);
  const there = moved(moved(strokes, { right: 0.1, scale: 2 }), { right: -0.1, scale: 0.5 });
  assert.ok(near(flat(there), flat(strokes)) < 1e-9);
  const quarter = moved(
    [
      [
        [0.4, 0.5],
        [0.6, 0.5],
      ],
    ],
    { degrees: 90 },
  );
  assert.ok(near(flat(quarter), [0.5, 0.4, 0.5, 0.6]) < 1e-9);
});

test("however often a key is pressed, the middle stays on the board, and the size within bounds", () => {
  const often = (by: Parameters<typeof moved>[1], start: readonly Stroke[]) => {
    let there = start;
    for (let k = 0; k < 500; k++) there = moved(there, by);
    const points = there.flat();
    const sides = [0, 1].map((axis) => {
      const values = points.map((point) => point[axis]);
      return [Math.min(...values), Math.max(...values)];
    });
    return {
      middle: sides.map(([low, high]) => (low + high) / 2),
      size: Math.max(...sides.map(([low, high]) => high - low)),
    };
  };
  const line: Stroke[] = [
    [
      [0.2, 0.3],
      [0.6, 0.4],
    ],
  ];
  assert.ok(near(often({ right: 0.03, down: -0.03 }, line).middle, [1, 0]) < 1e-9);
  assert.ok(Math.abs(often({ scale: 1.08 }, line).size - 1.5) < 1e-9);
  assert.ok(Math.abs(often({ scale: 1 / 1.08 }, line).size - 0.05) < 1e-9);
  assert.deepEqual(often({ scale: 1.08 }, [[[0.5, 0.5]]]).middle, [0.5, 0.5]);
  assert.ok(often({ degrees: 6 }, line).size < 0.5);
});

/** A hand's strokes: a point for each pixel of the board that the pen went over, not quite in line. */
const drawn: Stroke[] = DIGITS.flat().map((stroke) =>
  stroke.slice(1).flatMap(([x, y], k) => {
    const n = Math.ceil(560 * Math.hypot(x - stroke[k][0], y - stroke[k][1]));
    const wave = (j: number) => 3e-4 * Math.sin(7 * j);
    return Array.from({ length: n }, (_, j): [number, number] => [
      stroke[k][0] + ((x - stroke[k][0]) * (j + 1)) / n + wave(j),
      stroke[k][1] + ((y - stroke[k][1]) * (j + 1)) / n + wave(j + 1),
    ]);
  }),
);
const outside = moved(moved(DIGITS[8], { right: 1, down: -1 }), { scale: 2 });
const drawings = [...DIGITS, ...drawn.map((stroke) => [stroke]), drawn, outside, [[[0.3, 0.7]]] as Stroke[]];

test("a simplified drawing looks the same to the networks, takes few points, and stays as it is", () => {
  for (const strokes of drawings) {
    const simple = simplified(strokes);
    for (const centred of [true, false])
      assert.ok(near(prepared(simple, centred) ?? [], prepared(strokes, centred) ?? []) < 0.06);
    assert.deepEqual(simplified(simple), simple);
    assert.equal(simple.length, strokes.length);
  }
  assert.ok(simplified(drawn).flat().length < 0.15 * drawn.flat().length);
});

test("an address brings all back that the pictures follow from, to the last digit", () => {
  for (const strokes of drawings)
    for (const rest of [
      { wish: address.NO_WISH, seed: 1, centred: true },
      { wish: 0, seed: 27, centred: false },
      { wish: 9, seed: 999_999_999, centred: true },
    ]) {
      const written = address.write({ strokes, ...rest });
      const back = address.read(new URLSearchParams(written));
      assert.deepEqual(back, { strokes: simplified(strokes), ...rest });
      assert.equal(address.write(back!), written);
    }
});

const REST = "&ask=any&noise=1&as=MNIST";
for (const wrong of [
  "",
  REST,
  `drawing=${REST}`,
  "drawing=000000",
  `drawing=${"000000".repeat(20_001)}${REST}`,
  `drawing=00000${REST}`,
  `drawing=000000..000000${REST}`,
  `drawing=000000.${REST}`,
  `drawing=0000%3C0${REST}`,
  `drawing=00000-${REST}`,
  "drawing=000000&ask=10&noise=1&as=MNIST",
  "drawing=000000&ask=-1&noise=1&as=MNIST",
  "drawing=000000&ask=__proto__&noise=1&as=MNIST",
  "drawing=000000&ask=any&noise=&as=MNIST",
  "drawing=000000&ask=any&noise=1e3&as=MNIST",
  "drawing=000000&ask=any&noise=9999999999&as=MNIST",
  "drawing=000000&ask=any&noise=1&as=true",
])
  test(`an address that is none of a drawing is left alone: ${wrong.slice(0, 50)}`, () => {
    assert.equal(address.read(new URLSearchParams(wrong)), null);
    assert.ok(address.read(new URLSearchParams(`drawing=000000${REST}`)));
  });
