// What the reader moves and presses, where more than one front end has it.

import { h } from "./dom.ts";

/** A finger that begins on the slider and then scrolls the page leaves the slider where it was. */
export function keepWhenScrolled(input: HTMLInputElement, restore: (before: number) => void): void {
  let before = 0;
  input.addEventListener("pointerdown", () => {
    before = Number(input.value);
  });
  input.addEventListener("pointercancel", () => restore(before));
}

/** A round button that plays and pauses. */
export function makePlayButton(what: string, press: () => void) {
  const node = h("button", { class: "cx-play", type: "button" });
  node.addEventListener("click", press);
  const show = (playing: boolean) => {
    node.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${what}`);
    node.innerHTML = playing ? PAUSE : PLAY;
  };
  show(false);
  return { node, show };
}

const PLAY = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4.5 2.5v11l9-5.5z"/></svg>';
const PAUSE = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2.5h3v11H4zM9 2.5h3v11H9z"/></svg>';

/** A box to tick, with its label. */
export function makeCheck(name: string, checked: boolean, change: (on: boolean) => void): HTMLLabelElement {
  const input = h("input", { type: "checkbox", checked });
  input.addEventListener("change", () => change(input.checked));
  return h("label", { class: "cx-check" }, input, name);
}
