import { keepWhenScrolled, makePlayButton } from "../house/controls.ts";
import { h } from "../house/dom.ts";
import { replaced, valueAt } from "../house/numbers.ts";
import type { App, SliderState, View } from "./types.ts";

export function makeSlider(app: App, slider: SliderState, c: number): View {
  const last = slider.size - 1;
  const input = h("input", { type: "range", min: 0, max: last, step: 1, "aria-label": slider.name });
  const value = h("span", { class: "cx-value" });
  const ends = [h("span"), h("span")];
  input.addEventListener("input", () => app.set(c, Number(input.value)));
  keepWhenScrolled(input, (before) => app.set(c, before));
  const row = h("div", { class: "cx-slide" }, input);
  const player = slider.play ? makePlayer(app, slider, c) : null;
  if (player) row.prepend(player.button);
  const label = (k: number) => valueAt(slider.ticks, slider.strides, replaced(app.now.dims, c, k));
  return {
    node: h(
      "div",
      { class: "cx-control" },
      h("div", { class: "cx-label" }, h("span", {}, slider.name), value),
      row,
      h("div", { class: `cx-ends${player ? " cx-indent" : ""}`, "aria-hidden": "true" }, ...ends),
    ),
    update() {
      const k = app.now.dims[c];
      input.value = String(k);
      value.textContent = label(k);
      input.setAttribute("aria-valuetext", label(k));
      ends[0].textContent = label(0);
      ends[1].textContent = label(last);
    },
    stop: player?.stop,
  };
}

/** The button that steps through the values, and stops at the last. */
function makePlayer(app: App, slider: SliderState, c: number) {
  let timer: ReturnType<typeof setInterval> | undefined;
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    show(false);
  };
  const { node: button, show } = makePlayButton(slider.name, () => {
    if (timer !== undefined) return stop();
    show(true);
    const last = slider.size - 1;
    if (app.now.dims[c] === last) app.set(c, 0);
    const interval = Math.max(slider.interval * 1000, app.still.matches ? 1000 : 0);
    timer = setInterval(() => {
      if (app.now.dims[c] < last) app.set(c, app.now.dims[c] + 1);
      if (app.now.dims[c] >= last) stop();
    }, interval);
  });
  return { button, stop };
}
