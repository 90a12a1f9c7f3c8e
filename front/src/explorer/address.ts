// The state of an explorer in an address: index=2.0.1&at=0.5,-1.2

import { nodeAt } from "./plane.ts";
import type { ControlState } from "./types.ts";

export interface Shared {
  index: number[];
  /** Where the cursor of the pad stands; empty without a pad. */
  position: number[];
}

export function write({ index, position }: Shared): string {
  const at = position.length ? `&at=${position.map((v) => Number(v.toPrecision(5))).join(",")}` : "";
  return `index=${index.join(".")}${at}`;
}

/** What an address says of an explorer; null if that is nothing that its controls can follow. */
export function read(values: URLSearchParams, controls: readonly ControlState[]): Shared | null {
  const index = (values.get("index") ?? "")
    .split(".")
    .map((text) => (/^\d+$/.test(text) ? Number(text) : -1));
  const fits = ({ size }: ControlState, c: number) => index[c] >= 0 && index[c] < size;
  if (index.length !== controls.length || !controls.every(fits)) return null;
  const pad = controls.findIndex(({ kind }) => kind === "pad");
  if (pad < 0) return { index, position: [] };
  const position = (values.get("at") ?? "").split(",").map((text) => (text ? Number(text) : Number.NaN));
  const map = controls[pad];
  if (position.length !== 2 || map.kind !== "pad") return null;
  const inside = [map.x, map.y].every(([low, high], a) => low <= position[a] && position[a] <= high);
  return inside && nodeAt(map, [position[0], position[1]]) === index[pad] ? { index, position } : null;
}
