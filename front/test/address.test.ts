import assert from "node:assert/strict";
import { test } from "node:test";
import * as explorer from "../src/explorer/address.ts";
import type { ControlState } from "../src/explorer/types.ts";
import { valuesAt } from "../src/house/sharing.ts";
import * as settings from "../src/playground/settings.ts";

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

const write = (place: string, shared: explorer.Shared) => `#${place}?${explorer.write(shared)}`;
const read = (hash: string, place: string, controls: ControlState[]) => {
  const values = valuesAt(hash, place);
  return values && explorer.read(values, controls);
};

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

const { GAN_KNOBS, GAN_FIRST, DIFFUSION_KNOBS, DIFFUSION_FIRST } = settings;
const back = <S extends object>(query: string, knobs: settings.Knobs<S>) =>
  settings.read(new URLSearchParams(query), knobs);

test("each value of each knob of a playground comes back from an address", () => {
  function all<S extends object>(first: S, knobs: settings.Knobs<S>) {
    assert.deepEqual(Object.keys(first).sort(), Object.keys(knobs).sort());
    for (const [name, values] of Object.entries<readonly unknown[]>(knobs))
      for (const value of values) {
        const state = { ...first, [name]: value };
        assert.deepEqual(back(settings.write(state), knobs), state);
      }
  }
  all(GAN_FIRST, GAN_KNOBS);
  all(DIFFUSION_FIRST, DIFFUSION_KNOBS);
});

test("an address of the one playground says nothing to the other", () => {
  assert.equal(valuesAt(`#gan?${settings.write(GAN_FIRST)}`, "diffusion"), null);
  assert.equal(back(settings.write(GAN_FIRST), DIFFUSION_KNOBS), null);
  assert.equal(back(settings.write(DIFFUSION_FIRST), GAN_KNOBS), null);
});

for (const [name, wrong] of [
  ["seed", "8"],
  ["seed", "-1"],
  ["seed", "1e0"],
  ["seed", " 1"],
  ["seed", ""],
  ["lr", "1e9"],
  ["lr", "NaN"],
  ["steps", "4"],
  ["density", "__proto__"],
  ["density", "constructor"],
  ["density", "%3Cscript%3E"],
  ["sampler", "DDIM"],
]) {
  test(`settings that no knob has are left alone: ${name}=${wrong}`, () => {
    const query = settings.write({ ...DIFFUSION_FIRST, [name]: wrong });
    assert.equal(back(query, DIFFUSION_KNOBS), null);
    assert.equal(back(query.replace(`${name}=${wrong}`, ""), DIFFUSION_KNOBS), null, "nor one without it");
  });
}
