// The plane of the VAE whose codes have two numbers: where the drawing falls among real digits.

import { h } from "../house/dom.ts";
import type { Tile } from "../house/frame.ts";
import { clamp, type Point } from "../house/numbers.ts";

export interface MapState {
  codes: Point[];
  labels: number[];
  palette: string[];
}

const SIZE = 480; // pixels of the canvas
const DOT = 4.5;
const EDGE = 0.93;
const INSIDE = 0.97; // the share of the dots' coordinates that the map reaches; what lies beyond stands at its edge

export function makeMap({ codes, labels, palette }: MapState) {
  const canvas = h("canvas", { width: SIZE, height: SIZE, class: "dr-map" });
  const title = "VAE of 2 numbers";
  const node = h("figure", { class: "cx-panel" }, h("figcaption", {}, title), canvas);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${title}: the place of the drawing among ${codes.length} real digits`);
  const reach = quantile(codes.flat().map(Math.abs), INSIDE);
  const onCanvas = ([x, y]: Point): Point => [
    (SIZE / 2) * (1 + clamp(x / reach, -EDGE, EDGE)),
    (SIZE / 2) * (1 - clamp(y / reach, -EDGE, EDGE)),
  ];
  let place: Point | null = null;
  let colors = ["#000", "#fff"];

  function draw() {
    const [ink, paper] = colors;
    const g = canvas.getContext("2d")!;
    g.clearRect(0, 0, SIZE, SIZE);
    g.globalAlpha = 0.75;
    for (const [k, code] of codes.entries()) {
      g.fillStyle = palette[labels[k]];
      g.beginPath();
      g.arc(...onCanvas(code), DOT, 0, 2 * Math.PI);
      g.fill();
    }
    g.globalAlpha = 1;
    g.font = "600 30px system-ui, sans-serif";
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.lineJoin = "round";
    for (const digit of palette.keys()) {
      const own = codes.filter((_, k) => labels[k] === digit);
      const middle = onCanvas([
        quantile(
          own.map(([x]) => x),
          0.5,
        ),
        quantile(
          own.map(([, y]) => y),
          0.5,
        ),
      ]);
      g.lineWidth = 7;
      g.strokeStyle = paper;
      g.strokeText(String(digit), ...middle);
      g.fillStyle = ink;
      g.fillText(String(digit), ...middle);
    }
    if (!place) return;
    for (const [color, width] of [
      [paper, 12],
      [ink, 5],
    ] as const) {
      g.strokeStyle = color;
      g.lineWidth = width;
      g.beginPath();
      g.arc(...onCanvas(place), 15, 0, 2 * Math.PI);
      g.stroke();
    }
  }

  const tile: Tile = { node, picture: canvas, aspect: 1 };
  return {
    tile,
    move(to: Point | null) {
      place = to;
      draw();
    },
    paint(ink: string, paper: string) {
      colors = [ink, paper];
      draw();
    },
  };
}

const quantile = (values: number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))];
