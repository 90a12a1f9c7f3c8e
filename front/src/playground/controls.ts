// What the reader moves, in the looks of the house's frame.
import { keepWhenScrolled, makeCheck } from "../house/controls.ts";
import { h } from "../house/dom.ts";

/** A slider over a list of values; `show` says one of them. */
export function slider<T>(
  name: string,
  values: readonly T[],
  start: T,
  show: (value: T) => string,
  change: (value: T) => void,
) {
  const input = h("input", { type: "range", min: 0, max: values.length - 1, step: 1, "aria-label": name });
  const said = h("span", { class: "cx-value" });
  const set = (value: T) => {
    input.value = String(Math.max(0, values.indexOf(value)));
    said.textContent = show(value);
    input.setAttribute("aria-valuetext", show(value));
  };
  const moved = () => {
    const value = values[Number(input.value)];
    set(value);
    change(value);
  };
  input.addEventListener("input", moved);
  keepWhenScrolled(input, (before) => {
    input.value = String(before);
    moved();
  });
  set(start);
  const node = h(
    "div",
    { class: "cx-control" },
    h("div", { class: "cx-label" }, h("span", {}, name), said),
    h("div", { class: "cx-slide" }, input),
  );
  return { node, input, set };
}

/** One of a few words. */
export function choice<T extends string>(
  name: string,
  options: Record<T, string>,
  start: T,
  change: (value: T) => void,
): HTMLElement {
  const group = `cp${Math.random().toString(36).slice(2)}`; // its own on the page
  const items = (Object.entries(options) as [T, string][]).map(([value, text]) => {
    const input = h("input", {
      type: "radio",
      name: group,
      value,
      "aria-label": text,
      checked: value === start,
    });
    input.addEventListener("change", () => change(value));
    return h("label", { class: "cx-item" }, input, h("span", {}, text));
  });
  return h(
    "div",
    { class: "cx-control cx-full" },
    h("div", { class: "cx-label", "aria-hidden": "true" }, name),
    h("div", { class: "cx-words", role: "radiogroup", "aria-label": name }, ...items),
  );
}

/** What is drawn, of what can be: a box for each, by the key that it switches. */
export function layers<K extends string>(
  shows: Record<K, boolean>,
  names: Record<K, string>,
  changed: () => void,
): HTMLElement {
  const boxes = (Object.entries(names) as [K, string][]).map(([key, name]) => {
    const box = makeCheck(name, shows[key], (on) => {
      shows[key] = on;
      changed();
    });
    return h("div", {}, box);
  });
  return h("div", { class: "cx-control" }, ...boxes);
}

export function button(name: string, press: () => void): HTMLButtonElement {
  const node = h("button", { type: "button", class: "cx-button" }, name);
  node.addEventListener("click", press);
  return node;
}

/** Numbers with a name; `maximum` gives a bar. */
export function readout(name: string, maximum?: number) {
  const value = h("span", { class: "cx-value" });
  const bar = h("i");
  const node = h("div", { class: "cx-readout" }, h("span", {}, name), value);
  if (maximum) node.append(h("div", { class: "cx-bar" }, bar));
  return {
    node,
    name,
    show(text: string, number = 0) {
      value.textContent = text;
      if (maximum) bar.style.width = `${Math.min(100, (100 * number) / maximum)}%`;
    },
    text: () => value.textContent ?? "",
  };
}

/** What a sign in a picture means; its colour is the sign's own. */
export const sign = (mark: string, color: string, meaning: string): HTMLElement =>
  h("span", {}, h("b", { style: `color: ${color}` }, mark), meaning);
