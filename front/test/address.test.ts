import assert from "node:assert/strict";
import { test } from "node:test";
import { read, write } from "../src/explorer/address.ts";
import type { ControlState } from "../src/explorer/types.ts";

const slider = { kind: "slider", size: 5 } as ControlState;
const choice = { kind: "choice", size: 3 } as ControlState;
const pad = {
  kind: "pad",
  size: 99,
  columns: 11,
  rows: 9,
  x: [-5, 5],
  y: [-4, 4],
} as unknown as ControlState;

test("what is written is read again", () => {
  for (let k = 0; k < 5; k++) {
    const shared = { index: [k, k % 3], position: [] };
    assert.deepEqual(read(write("explorer-2", shared), "explorer-2", [slider, choice]), shared);
  }
  const shared = { index: [3, 4 * 11 + 6], position: [1.25, -0.0625] };
  assert.deepEqual(read(write("explorer-1", shared), "explorer-1", [slider, pad]), shared);
});

const HOSTILE = [
  "",
  "#",
  "#explorer-2",
  "#explorer-2?",
  "#explorer-2?index=",
  "#explorer-2?index=1",
  "#explorer-2?index=1.2.0",
  "#explorer-2?index=5.0",
  "#explorer-2?index=-1.0",
  "#explorer-2?index=1.5.0",
  "#explorer-2?index=1e0.0",
  "#explorer-2?index=0x1.0",
  "#explorer-2?index=%3Cscript%3E.0",
  "#explorer-2?index=1.__proto__",
  "#explorer-3?index=1.1",
  "#explorer-22?index=1.1",
];
for (const hash of HOSTILE) {
  test(`an address that says nothing of use is left alone: ${JSON.stringify(hash)}`, () => {
    assert.equal(read(hash, "explorer-2", [slider, choice]), null);
  });
}

for (const at of [
  "",
  "&at=",
  "&at=1",
  "&at=1,2,3",
  "&at=NaN,0",
  "&at=Infinity,0",
  "&at=1e9,0",
  "&at=4,3",
  "&at=,",
]) {
  test(`a place that is not that of the node is left alone: ${JSON.stringify(at)}`, () => {
    assert.equal(read(`#e?index=0.49${at}`, "e", [slider, pad]), null);
  });
}

test("the node in the middle, as it is, is a place", () => {
  assert.deepEqual(read("#e?index=0.49&at=0.1,-0.1", "e", [slider, pad])?.position, [0.1, -0.1]);
});
