// Frames: tiles of a sprite on a canvas, and charts.

import { h } from "../house/dom.ts";
import { inflate } from "../house/inflate.ts";
import type { App, PanelState, SpriteState } from "./types.ts";

export interface Sprite {
  tile: [height: number, width: number];
  /** Draws a frame; false while the picture has not yet come. */
  draw(g: CanvasRenderingContext2D, frame: number, x: number, y: number, w: number, h: number): boolean;
}

export function loadSprite({ src, columns, tile }: SpriteState, onload: () => void): Sprite {
  const image = new Image();
  image.onload = onload;
  image.src = src;
  const [height, width] = tile;
  return {
    tile,
    draw(g, frame, x, y, w, h) {
      if (!image.complete || !image.naturalWidth) return false;
      const [row, column] = [Math.floor(frame / columns), frame % columns];
      g.drawImage(image, column * width, row * height, width, height, x, y, w, h);
      return true;
    },
  };
}

/** A canvas that shows one tile of a sprite, pixel by pixel; the page enlarges it. */
export function makeTile(app: App, number: number) {
  const sprite = app.sprites[number];
  const [height, width] = sprite.tile;
  const node = h("canvas", { class: "cx-tile", width, height });
  const g = node.getContext("2d")!;
  let drawn = -1;
  return {
    node,
    aspect: width / height,
    draw(frame: number) {
      if (frame !== drawn && sprite.draw(g, frame, 0, 0, width, height)) drawn = frame;
    },
    drawImage(image: HTMLImageElement) {
      g.drawImage(image, 0, 0);
      drawn = -1;
    },
  };
}

/** A canvas that shows the images of a panel in columns, one pixel between them. */
export function makeSheet(app: App, panel: PanelState) {
  const sprite = app.sprites[panel.sprite];
  const [height, width] = sprite.tile.map((side) => side + 1);
  const [w, h_] = [panel.columns * width - 1, Math.ceil(panel.count / panel.columns) * height - 1];
  const node = h("canvas", { class: "cx-tile", width: w, height: h_ });
  const g = node.getContext("2d")!;
  return {
    node,
    aspect: w / h_,
    draw(first: number) {
      for (let k = 0; k < panel.count; k++) {
        const [row, column] = [Math.floor(k / panel.columns), k % panel.columns];
        sprite.draw(g, panel.frames[first + k], column * width, row * height, width - 1, height - 1);
      }
    },
  };
}

/** The charts' addresses, from the base64 of their gzipped list. */
export async function unpackCharts(packed: string): Promise<string[]> {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const charts: string[] = JSON.parse(new TextDecoder().decode(await inflate(bytes, "gzip")));
  return charts.map((svg) => `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`);
}
