import { h } from "../house/dom.ts";
import type { Tile } from "../house/frame.ts";
import { offset, replaced, valueAt } from "../house/numbers.ts";
import { makeSheet, makeTile } from "./sprites.ts";
import type { App, PanelState, View } from "./types.ts";

/** A picture with its title; `inside` stands under it. */
export function makePanel(
  app: App,
  panel: PanelState,
  p: number,
  inside: HTMLElement[],
): View & { tile: Tile } {
  const face = panel.sprite < 0 ? makeChart(app, panel) : makeImage(app, panel, p);
  face.node.setAttribute("role", "img");
  face.node.setAttribute("aria-label", panel.title);
  const node = h("figure", { class: "cx-panel" }, h("figcaption", {}, panel.title), face.node, ...inside);
  return { node, update: face.update, tile: { node, picture: face.node, aspect: face.aspect } };
}

function makeImage(app: App, panel: PanelState, p: number) {
  const { now } = app;
  if (panel.count > 1) {
    const sheet = makeSheet(app, panel);
    return { ...sheet, update: () => sheet.draw(offset(panel.strides, now.dims)) };
  }
  const tile = makeTile(app, panel.sprite);
  const update = () => {
    if (now.fresh && now.live && app.livePanel === p) tile.drawImage(now.live.image);
    else tile.draw(valueAt(panel.frames, panel.strides, now.dims));
  };
  return { ...tile, update };
}

/** A chart, sharp at any size: an SVG with its text as text. `tile` is that of all charts of the panel. */
function makeChart(app: App, panel: PanelState) {
  const node = h("img", { class: "cx-chart", alt: panel.title, draggable: false });
  const [height, width] = panel.tile!;
  node.style.aspectRatio = `${width} / ${height}`;
  let shown = "";
  const update = () => {
    const address = app.charts[valueAt(panel.frames, panel.strides, app.now.dims)];
    if (address && address !== shown) node.src = shown = address;
  };
  return { node, aspect: width / height, update };
}

/** All frames along one control, side by side; the current one is framed, and pressing one goes there. */
export function makeStrip(app: App, panel: PanelState, inside: HTMLElement[]): View {
  const c = panel.strip;
  const tiles = Array.from({ length: app.controls[c].size }, () => makeTile(app, panel.sprite));
  for (const [k, tile] of tiles.entries()) tile.node.addEventListener("click", () => app.set(c, k));
  const row = h(
    "div",
    { class: "cx-strip", role: "img", "aria-label": panel.title },
    ...tiles.map((t) => t.node),
  );
  return {
    node: h("figure", { class: "cx-wide" }, h("figcaption", {}, panel.title), row, ...inside),
    update() {
      for (const [k, tile] of tiles.entries()) {
        tile.draw(valueAt(panel.frames, panel.strides, replaced(app.now.dims, c, k)));
        tile.node.classList.toggle("cx-on", k === app.now.dims[c]);
      }
    },
  };
}
