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

/** A finger that begins on the slider and then scrolls the page leaves the slider where it was. */
export function keepWhenScrolled(input: HTMLInputElement, restore: (before: number) => void): void {
  let before = 0;
  input.addEventListener("pointerdown", () => {
    before = Number(input.value);
  });
  input.addEventListener("pointercancel", () => restore(before));
}

/** The button that steps through the values, and stops at the last. */
function makePlayer(app: App, slider: SliderState, c: number) {
  const button = h("button", { class: "cx-play", type: "button" });
  let timer = 0;
  const show = (playing: boolean) => {
    button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${slider.name}`);
    button.innerHTML = playing ? PAUSE : PLAY;
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    show(false);
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    show(true);
    const last = slider.size - 1;
    if (app.now.dims[c] === last) app.set(c, 0);
    const interval = Math.max(slider.interval * 1000, app.still.matches ? 1000 : 0);
    timer = setInterval(() => {
      if (app.now.dims[c] < last) app.set(c, app.now.dims[c] + 1);
      if (app.now.dims[c] >= last) stop();
    }, interval) as unknown as number;
  });
  show(false);
  return { button, stop };
}

const PLAY = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4.5 2.5v11l9-5.5z"/></svg>';
const PAUSE = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2.5h3v11H4zM9 2.5h3v11H9z"/></svg>';
