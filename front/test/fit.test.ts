import assert from "node:assert/strict";
import { test } from "node:test";
import { fit, split, WORTH } from "../src/house/fit.ts";

test("one picture takes what the tighter side gives", () => {
  assert.deepEqual(fit([1], { width: 900, height: 420 }, 20, 10), { rows: 1, height: 400 });
  assert.deepEqual(fit([2], { width: 900, height: 920 }, 20, 10), { rows: 1, height: 450 });
  assert.deepEqual(fit([1], { width: 900, height: 920 }, 20, 10, { width: 500, height: 300 }), {
    rows: 1,
    height: 300,
  });
});

test("a wide picture is held by its width", () => {
  const most = { width: 500, height: 300 };
  assert.deepEqual(fit([2.5], { width: 900, height: 920 }, 20, 10, most), { rows: 1, height: 200 });
});

test("four squares stand in a row where it is wide, and two by two where it is square", () => {
  assert.deepEqual(fit([1, 1, 1, 1], { width: 1030, height: 420 }, 20, 10), { rows: 1, height: 250 });
  assert.equal(fit([1, 1, 1, 1], { width: 410, height: 450 }, 20, 10).rows, 2);
});

test("whatever the box, the pictures stay inside it, and no other number of rows makes them much larger", () => {
  let seed = 1;
  const draw = () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 2147483647;
  };
  for (let k = 0; k < 500; k++) {
    const aspects = Array.from({ length: 1 + Math.floor(9 * draw()) }, () => 0.4 + 2 * draw());
    const [box, text, gap] = [
      { width: 200 + 1200 * draw(), height: 200 + 700 * draw() },
      40 * draw(),
      16 * draw(),
    ];
    const best = fit(aspects, box, text, gap);
    const fits = (rows: number, height: number) =>
      rows * (height + text) + gap * (rows - 1) <= box.height + 1e-6 &&
      split(aspects, rows).every(
        (row) => row.reduce((sum, a) => sum + a * height, gap * (row.length - 1)) <= box.width + 1e-6,
      );
    if (best.height > 0) assert.ok(fits(best.rows, best.height));
    for (let rows = 1; rows <= aspects.length; rows++)
      assert.ok(!fits(rows, Math.max(WORTH * best.height, 0) + 0.01));
  }
});

test("a list is split in order, and nothing is lost", () => {
  for (let n = 1; n < 12; n++) {
    for (let parts = 1; parts <= n; parts++) {
      const list = Array.from({ length: n }, (_, i) => i);
      const rows = split(list, parts);
      assert.deepEqual(rows.flat(), list);
      assert.ok(rows.length <= parts && rows.every((row) => row.length > 0));
    }
  }
});
