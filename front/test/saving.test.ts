import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { makeSaver } from "../src/house/saving.ts";

test("many changes are told together; the last one also where the view ends; nothing is told twice", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const told: number[] = [];
  let value = 0;
  const saver = makeSaver({ save_changes: () => told.push(value) }, 30);
  for (value = 1; value < 5; value++) saver.soon();
  assert.deepEqual(told, []);
  mock.timers.tick(30);
  assert.deepEqual(told, [5]);
  value = 6;
  saver.soon();
  saver.stop();
  saver.stop();
  mock.timers.tick(100);
  assert.deepEqual(told, [5, 6]);
  mock.timers.reset();
});

test("a kernel that is gone stops nothing", () => {
  const saver = makeSaver(
    {
      save_changes() {
        throw new Error("gone");
      },
    },
    30,
  );
  saver.soon();
  assert.doesNotThrow(() => saver.stop());
});
