import { h } from "../house/dom.ts";
import { makeTile } from "./sprites.ts";
import type { App, ChoiceState, View } from "./types.ts";

/** Named options as words, or as small pictures. */
export function makeChoice(app: App, choice: ChoiceState, c: number): View {
  const { frames, sprite } = choice;
  const items = choice.options.map((option, k) => {
    const input = h("input", { type: "radio", name: `${app.id}-${c}`, value: k, "aria-label": option });
    input.addEventListener("change", () => app.set(c, k));
    const face = frames ? makeTile(app, sprite!) : null;
    const item = h("label", { class: "cx-item", title: option }, input, face?.node ?? h("span", {}, option));
    return { input, item, draw: () => face?.draw(frames![k]) };
  });
  const group = h(
    "div",
    { class: frames ? "cx-thumbs" : "cx-words", role: "radiogroup", "aria-label": choice.name },
    ...items.map(({ item }) => item),
  );
  group.style.setProperty("--n", String(Math.min(8, choice.size)));
  const label = h("div", { class: "cx-label", "aria-hidden": "true" }, choice.name);
  return {
    node: h("div", { class: `cx-control${choice.size > 4 ? " cx-full" : ""}` }, label, group),
    update() {
      items[app.now.dims[c]].input.checked = true;
      for (const { draw } of items) draw();
    },
  };
}
