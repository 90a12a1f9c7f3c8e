// The front end of every explorer: frames and numbers indexed by controls.
// Everything shown is in the model's state, so it works without a kernel, without a network, in a saved page.

import { makeFrame, type Section } from "../house/frame.ts";
import { clamp, distance, type Point } from "../house/numbers.ts";
import { makeSaver } from "../house/saving.ts";
import { makeSharing } from "../house/sharing.ts";
import { read, write } from "./address.ts";
import { makeChoice } from "./choice.ts";
import { makePad } from "./pad.ts";
import { makePanel, makeStrip } from "./panel.ts";
import { dotsNow, nearestPoint, nodeAt, nodePosition } from "./plane.ts";
import { makeReadout, sentence } from "./readout.ts";
import { makeSlider } from "./slider.ts";
import { loadSprite, unpackCharts } from "./sprites.ts";
import type { App, Model, Now, View } from "./types.ts";

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const controls = model.get("controls");
  let quiet = true; // not yet all is there
  const padAt = controls.findIndex(({ kind }) => kind === "pad");
  const map = controls[padAt];
  const pad = map?.kind === "pad" ? map : null;
  const now: Now = { dims: [], position: [0, 0], shown: [0, 0], dots: null, live: null, fresh: false };
  const app: App = {
    id: `cx${Math.random().toString(36).slice(2)}`, // names this view's radio groups on the page
    controls,
    panels: model.get("panels"),
    readouts: model.get("readouts"),
    pad,
    padAt,
    livePanel: model.get("live_panel"), // -1: no panel is decoded live
    sprites: model.get("sprites").map((sprite) => loadSprite(sprite, () => refresh())),
    charts: [],
    now,
    still: matchMedia("(prefers-reduced-motion: reduce)"),
    set(control, value) {
      const index = [...model.get("index")];
      if (index[control] === value) return;
      index[control] = value;
      change({ index });
    },
    // Puts the pad's cursor at (x, y). Without a kernel to decode in between, it stands on the nodes.
    move(x, y) {
      if (!pad) return;
      const position: Point = [clamp(x, ...pad.x), clamp(y, ...pad.y)];
      const node = nodeAt(pad, position);
      const index = [...model.get("index")];
      index[padAt] = node;
      change({ index, position: [...(app.livePanel < 0 ? nodePosition(pad, node) : position)] });
    },
  };
  const { parts, sections, recolor } = makeParts(app);
  const sharing = makeSharing(
    el,
    "this state",
    () => write({ index: model.get("index"), position: model.get("position") }),
    (values) => {
      const shared = read(values, controls);
      if (shared) change(shared.position.length ? shared : { index: shared.index });
      return shared !== null;
    },
  );
  const told = { title: model.get("title"), hint: model.get("hint") };
  const frame = makeFrame(told, sections, sharing.link);

  // State ------------------------------------------------------------------------------------------------------

  function change(values: { index?: number[]; position?: number[] }) {
    quiet = true; // one refresh for all
    if (values.index) model.set("index", values.index);
    if (values.position) model.set("position", values.position);
    quiet = false;
    moved();
    saver.soon();
  }
  const saver = makeSaver(model, 30);

  function moved() {
    refresh();
    announce();
  }

  function refresh() {
    if (quiet) return;
    const index = model.get("index");
    now.dims = [...index, 0];
    if (pad) {
      const node = nodePosition(pad, index[padAt]);
      const asked = model.get("position") ?? [];
      const at: Point = [asked[0], asked[1]];
      now.position = asked.length === 2 && nodeAt(pad, at) === index[padAt] ? at : node;
      // Of the stored frame and the last one decoded, the one nearer to the cursor is shown.
      const live = now.live?.position;
      now.fresh = live !== undefined && distance(live, now.position) <= distance(node, now.position);
      now.shown = now.fresh && live ? live : node;
      now.dots = dotsNow(pad, now.dims);
      now.dims[index.length] = now.dots ? nearestPoint(now.dots, now.shown) : 0;
    }
    for (const part of parts) part.update();
  }

  function receive() {
    const { position, src } = model.get("live_frame") ?? {};
    if (!src || !position || !pad) return;
    const image = new Image();
    image.onload = () => {
      now.live = { position, image };
      refresh();
    };
    image.src = src;
  }

  // A sentence for screen readers, once the reader has come to rest.
  let announcing: ReturnType<typeof setTimeout> | undefined;
  function announce() {
    clearTimeout(announcing);
    announcing = setTimeout(() => frame.say(sentence(app)), 500);
  }

  const packed = model.get("charts");
  if (packed) {
    unpackCharts(packed).then(
      (charts) => {
        app.charts = charts;
        refresh();
      },
      (error) => frame.warn(`The charts cannot be read, so their places stay empty (${error}).`),
    );
  }
  model.on("change:index", moved);
  model.on("change:position", moved);
  model.on("change:live_frame", receive);
  receive();
  quiet = false;
  refresh();
  el.append(frame.root);
  if (recolor) frame.onColors(recolor);
  sharing.follow();

  return () => {
    model.off("change:index", moved);
    model.off("change:position", moved);
    model.off("change:live_frame", receive);
    sharing.stop();
    clearTimeout(announcing);
    saver.stop();
    for (const part of parts) part.stop?.();
    frame.stop();
  };
}

/** The parts of a view, and the sections in which they stand: one for each group. */
function makeParts(app: App) {
  const groups = new Map<string, Required<Section>>();
  const section = (name: string) => {
    const made = groups.get(name) ?? { name, controls: [], tiles: [], wide: [], readouts: [] };
    groups.set(name, made);
    return made;
  };
  const parts: View[] = [];
  const add = <T extends View>(part: T): T => {
    parts.push(part);
    return part;
  };
  let recolor: ((ink: string, paper: string) => void) | null = null;
  for (const [c, control] of app.controls.entries()) {
    const { controls, tiles } = section(control.group);
    if (control.kind === "slider") controls.push(add(makeSlider(app, control, c)).node);
    else if (control.kind === "choice") controls.push(add(makeChoice(app, control, c)).node);
    else {
      const pad = add(makePad(app, control, c));
      tiles.push(pad.tile);
      controls.push(pad.node);
      recolor = pad.recolor;
    }
  }
  for (const [p, panel] of app.panels.entries()) {
    const inside = app.readouts
      .filter((r) => r.panel === p)
      .map((readout) => add(makeReadout(app, readout)).node);
    const { tiles, wide } = section(panel.group);
    if (panel.strip >= 0) wide.push(add(makeStrip(app, panel, inside)).node);
    else tiles.push(add(makePanel(app, panel, p, inside)).tile);
  }
  for (const readout of app.readouts) {
    if (readout.panel < 0) section(readout.group).readouts.push(add(makeReadout(app, readout)).node);
  }
  return { parts, sections: [...groups.values()], recolor };
}

export default { render };
