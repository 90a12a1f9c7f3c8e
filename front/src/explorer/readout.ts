import { h } from "../house/dom.ts";
import { clamp, minus, valueAt } from "../house/numbers.ts";
import { placeText } from "./plane.ts";
import type { App, ReadoutState, View } from "./types.ts";

export function makeReadout(app: App, readout: ReadoutState): View {
  const value = h("span", { class: "cx-value" });
  const bar = h("i");
  const node = h("div", { class: "cx-readout" }, h("span", {}, readout.label), value);
  if (readout.maximum !== undefined) node.append(h("div", { class: "cx-bar" }, bar));
  return {
    node,
    update() {
      value.textContent = textOf(app, readout);
      if (!readout.maximum) return;
      const share = Number(valueAt(readout.values, readout.strides, app.now.dims)) / readout.maximum;
      bar.style.width = `${100 * clamp(share, 0, 1)}%`;
    },
  };
}

function textOf(app: App, readout: ReadoutState): string {
  const value = valueAt(readout.values, readout.strides, app.now.dims);
  return typeof value === "number" ? minus(value.toFixed(readout.decimals)) : value;
}

/** All that is read out, for screen readers. */
export function sentence(app: App): string {
  const parts = app.pad ? [placeText(app.pad, app.now.shown)] : [];
  for (const readout of app.readouts) {
    const of = readout.panel < 0 ? "" : `${app.panels[readout.panel].title}: `;
    parts.push(`${of}${readout.label} ${textOf(app, readout)}`);
  }
  return parts.join(", ");
}
