// The map: a still layer (dots, axes) and above it a quick one (cursor, path), redrawn at each move.

import { makeCheck } from "../house/controls.ts";
import { h } from "../house/dom.ts";
import type { Tile } from "../house/frame.ts";
import { clamp, minus, niceTicks, offset, type Point, replaced, valueAt } from "../house/numbers.ts";
import { nodePosition, placeText, rowColumn } from "./plane.ts";
import type { App, PadState, View } from "./types.ts";

const PATH = "#d6007a";
const KEYS: Record<string, Point> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

type Pen = CanvasRenderingContext2D;

/** `node` stands among the controls: where the cursor is, the classes, and what the map may show. */
export interface PadView extends View {
  tile: Tile;
  /** Paints anew in the page's colours. */
  recolor(ink: string, paper: string): void;
}

export function makePad(app: App, pad: PadState, c: number): PadView {
  const below = h("canvas");
  const above = h("canvas");
  const [across, up] = pad.axes.map((axis, a) =>
    h("input", {
      ...{ type: "range", class: "cx-hidden", min: 0, max: (a ? pad.rows : pad.columns) - 1, step: 1 },
      ...{ "aria-label": axis, "aria-roledescription": "2-D slider", tabIndex: a ? -1 : 0 },
    }),
  );
  const board = h("div", { class: "cx-board" }, below, above, across, up);
  const aspect = pad.columns / pad.rows;
  board.style.aspectRatio = `${pad.columns} / ${pad.rows}`;
  const caption = h("div", { class: "cx-caption" });
  const legend = makeLegend(pad, (k) => {
    lit = k;
    paint();
  });
  const decoded = app.panels.find((panel) => panel.sprite >= 0 && panel.strides[c]);
  let images = false; // shown on the map, in place of axes
  const box = decoded
    ? makeCheck("show the images on the map", images, (on) => {
        images = on;
        paint();
      })
    : null;
  let lit = -1; // the class that stands out, -1: all
  let [width, height] = [0, 0];
  let density = 1; // the canvases' pixels to one of CSS, as they were last painted
  let [ink, paper] = ["#000", "#fff"];

  // Each node sits in the middle of its cell; columns x rows cells fill the board.
  const cells = [(pad.x[1] - pad.x[0]) / (pad.columns - 1), (pad.y[1] - pad.y[0]) / (pad.rows - 1)];
  const [left, bottom] = [pad.x[0] - cells[0] / 2, pad.y[0] - cells[1] / 2];
  const px = (x: number) => ((x - left) / cells[0] / pad.columns) * width;
  const py = (y: number) => (1 - (y - bottom) / cells[1] / pad.rows) * height;

  listen();

  function listen() {
    const pointTo = (event: PointerEvent) => {
      const place = below.getBoundingClientRect();
      const x = left + ((event.clientX - place.left) / place.width) * cells[0] * pad.columns;
      const y = bottom + (1 - (event.clientY - place.top) / place.height) * cells[1] * pad.rows;
      app.move(x, y);
    };
    board.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      board.setPointerCapture(event.pointerId);
      across.focus({ preventScroll: true });
      board.classList.add("cx-pointed");
      pointTo(event);
    });
    board.addEventListener("pointermove", (event) => {
      if (board.hasPointerCapture(event.pointerId)) pointTo(event);
    });
    const step = (dx: number, dy: number) => {
      const [row, column] = rowColumn(pad, app.now.dims[c]);
      const next = [clamp(row + dy, 0, pad.rows - 1), clamp(column + dx, 0, pad.columns - 1)];
      app.move(...nodePosition(pad, next[0] * pad.columns + next[1]));
    };
    board.addEventListener("keydown", (event) => {
      board.classList.remove("cx-pointed");
      const by = KEYS[event.key];
      if (!by || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const stride = event.shiftKey ? 4 : 1;
      step(by[0] * stride, by[1] * stride);
    });
    // Screen readers set a slider's value without keys.
    across.addEventListener("input", () =>
      step(Number(across.value) - rowColumn(pad, app.now.dims[c])[1], 0),
    );
    up.addEventListener("input", () => step(0, Number(up.value) - rowColumn(pad, app.now.dims[c])[0]));
  }

  // What the picture below the cursor depends on: which dots, and which decoded images.
  const scene = () => {
    const { dims } = app.now;
    const first = images ? valueAt(decoded!.frames, decoded!.strides, replaced(dims, c, 0)) : -1;
    return `${pad.strides ? offset(pad.strides, dims) : 0} ${first}`;
  };
  let painted = "";

  /** A canvas's pen, in CSS pixels. */
  function penOf(canvas: HTMLCanvasElement): Pen {
    const g = canvas.getContext("2d")!;
    g.setTransform(density, 0, 0, density, 0, 0);
    return g;
  }

  function paint() {
    painted = scene();
    [width, height] = [board.clientWidth, board.clientHeight];
    if (!width) return;
    density = devicePixelRatio;
    for (const canvas of [below, above]) {
      canvas.width = Math.round(width * density);
      canvas.height = Math.round(height * density);
    }
    const g = penOf(below);
    if (images) paintImages(g);
    else paintAxes(g);
    paintDots(g);
    trace();
  }

  function paintImages(g: Pen) {
    const { sprite, frames, strides } = decoded!;
    const [w, h] = [width / pad.columns, height / pad.rows];
    g.imageSmoothingQuality = "high";
    for (let k = 0; k < pad.size; k++) {
      const [row, column] = rowColumn(pad, k);
      const number = valueAt(frames, strides, replaced(app.now.dims, c, k));
      app.sprites[sprite].draw(g, number, column * w, (pad.rows - 1 - row) * h, w, h);
    }
  }

  /** The size of the page's text, of which the map's is a share. */
  const em = () => Number.parseFloat(getComputedStyle(board).fontSize) || 14;

  function paintAxes(g: Pen) {
    const size = em();
    const [italic, upright] = [
      `italic ${0.9 * size}px system-ui, sans-serif`,
      `${0.78 * size}px system-ui, sans-serif`,
    ];
    g.font = italic;
    const named = pad.axes.map((name) => g.measureText(`${name} →`).width + 20); // no number stands there
    g.font = upright;
    g.fillStyle = g.strokeStyle = ink;
    g.lineWidth = 1;
    const axes = [
      { range: pad.x, across: true },
      { range: pad.y, across: false },
    ];
    for (const { range, across } of axes) {
      for (const value of niceTicks(range)) {
        const at = Math.round(across ? px(value) : py(value)) + 0.5;
        g.globalAlpha = value === 0 ? 0.3 : 0.1;
        g.beginPath();
        g.moveTo(across ? at : 0, across ? 0 : at);
        g.lineTo(across ? at : width, across ? height : at);
        g.stroke();
        g.globalAlpha = 0.75;
        g.textAlign = across ? "center" : "left";
        if (across && at > 1.8 * size && at < width - named[0]) g.fillText(minus(value), at, height - 4);
        if (!across && at > named[1] && at < height - 1.5 * size) g.fillText(minus(value), 4, at - 3);
      }
    }
    g.globalAlpha = 0.9;
    g.font = italic;
    g.textAlign = "right";
    g.fillText(`${pad.axes[0]} →`, width - 6, height - 5);
    g.save();
    g.translate(0.95 * size, 6);
    g.rotate(-Math.PI / 2);
    g.fillText(`${pad.axes[1]} →`, 0, 0);
    g.restore();
    g.globalAlpha = 1;
  }

  function paintDots(g: Pen) {
    const { dots } = app.now;
    if (!dots) return;
    const { labels, count = 0 } = pad;
    const radius = (count > 800 ? 2 : 2.8) * Math.max(1, width / 420);
    const order = [...Array(count).keys()];
    if (labels && lit >= 0) order.sort((a, b) => Number(labels[a] === lit) - Number(labels[b] === lit));
    g.lineWidth = 0.75;
    g.strokeStyle = ink; // a rim, so that pale classes are seen too
    for (const k of order) {
      const label = labels ? labels[k] : 0;
      const pale = lit >= 0 && label !== lit;
      g.globalAlpha = pale ? 0.13 : 0.9;
      g.fillStyle = colorOf(pad, label);
      g.beginPath();
      g.arc(px(dots[2 * k]), py(dots[2 * k + 1]), radius, 0, 2 * Math.PI);
      g.fill();
      g.globalAlpha = 0.6;
      if (!pale) g.stroke();
    }
    g.globalAlpha = 1;
  }

  function trace() {
    const { shown, position, dots, dims } = app.now;
    if (!width || !shown) return;
    const g = penOf(above);
    g.clearRect(0, 0, width, height);
    if (pad.paths) tracePath(g);
    const [x, y] = [px(position[0]), py(position[1])];
    if (dots) {
      const k = dims[app.controls.length];
      const [nx, ny] = [px(dots[2 * k]), py(dots[2 * k + 1])];
      const link = () => {
        g.moveTo(x, y);
        g.lineTo(nx, ny);
      };
      outlined(g, 1, link, ink, paper);
      outlined(g, 1.5, () => g.arc(nx, ny, 5.5, 0, 2 * Math.PI), ink, paper);
    }
    const cross = () => {
      g.arc(x, y, 9, 0, 2 * Math.PI);
      for (const [dx, dy] of Object.values(KEYS)) {
        g.moveTo(x + 5 * dx, y + 5 * dy);
        g.lineTo(x + 14 * dx, y + 14 * dy);
      }
    };
    outlined(g, 2, cross, ink, paper);
  }

  function tracePath(g: Pen) {
    const { xy, length, strides, mark } = pad.paths!;
    const start = offset(strides, app.now.dims) * length;
    const points = Array.from({ length }, (_, k) => [px(xy[2 * (start + k)]), py(xy[2 * (start + k) + 1])]);
    const line = () => {
      for (const [x, y] of points) g.lineTo(x, y);
    };
    outlined(g, 2, line, PATH, "#fff");
    for (const [x, y] of [points[0], points[length - 1]]) {
      outlined(g, 3, () => g.rect(x - 2.5, y - 2.5, 5, 5), PATH, "#fff");
    }
    if (mark < 0) return;
    const [x, y] = points[app.now.dims[mark]];
    outlined(g, 6, () => g.arc(x, y, 3, 0, 2 * Math.PI), PATH, "#fff");
  }

  const sizes = new ResizeObserver(() => {
    if (board.clientWidth !== width) paint();
  });
  sizes.observe(board);
  const node = h("div", { class: "cx-pad" }, board);
  const about = [caption, ...(legend ? [legend] : []), ...(box ? [box] : [])];
  return {
    node: h("div", { class: "cx-control cx-full" }, ...about),
    tile: { node, picture: board, aspect, map: true },
    update() {
      const [row, column] = rowColumn(pad, app.now.dims[c]);
      across.value = String(column);
      up.value = String(row);
      const where = placeText(pad, app.now.shown);
      for (const input of [across, up]) input.setAttribute("aria-valuetext", where);
      caption.textContent = where;
      if (app.now.fresh) caption.append(h("span", { class: "cx-live" }, "decoded live"));
      // The window may have gone to a screen with other pixels.
      if (scene() !== painted || density !== devicePixelRatio) paint();
      else trace();
    },
    recolor(newInk, newPaper) {
      [ink, paper] = [newInk, newPaper];
      paint();
    },
    stop: () => sizes.disconnect(),
  };
}

const colorOf = (pad: PadState, label: number) => pad.palette[label % pad.palette.length];

/** A line on a wider one of another shade: seen on any ground. */
function outlined(g: Pen, width: number, draw: () => void, line: string, rim: string): void {
  for (const { style, w } of [
    { style: rim, w: width + 2 },
    { style: line, w: width },
  ]) {
    g.beginPath();
    draw();
    g.strokeStyle = style;
    g.lineWidth = w;
    g.stroke();
  }
}

/** The classes; pressing one makes it stand out on the map. */
function makeLegend(pad: PadState, onLit: (label: number) => void): HTMLElement | null {
  if (!pad.labels || !pad.classes.length) return null;
  const present = [...new Set(pad.labels)].sort((a, b) => a - b);
  const buttons = present.map((k) => {
    const swatch = h("span", { class: "cx-swatch", style: `background:${colorOf(pad, k)}` });
    const button = h(
      "button",
      { type: "button", "aria-pressed": "false" },
      swatch,
      pad.classes[k] ?? String(k),
    );
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      for (const other of buttons) other.setAttribute("aria-pressed", String(on && other === button));
      onLit(on ? k : -1);
    });
    return button;
  });
  return h(
    "div",
    { class: "cx-legend", role: "group", "aria-label": "classes: press to highlight" },
    ...buttons,
  );
}
