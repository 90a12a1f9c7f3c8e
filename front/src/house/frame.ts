// The frame that all explorers share: title, a line that says what to try, tools, and sections of controls, pictures
// and read-outs. Pictures are drawn as large as the page, the screen or the slide allows.

import { h, isLight } from "./dom.ts";
import { type Fitted, fit, split } from "./fit.ts";
import CSS from "./house.css";
import { paperOf, pictureOf } from "./picture.ts";
import type { Link } from "./sharing.ts";

/** Something to look at; `aspect` is the width / height of its picture, which is as wide as `node`. */
export interface Tile {
  node: HTMLElement;
  picture: HTMLElement;
  aspect: number;
  /** The reader points at places of it: on a narrow page it takes the whole width. */
  map?: boolean;
}

export interface Section {
  name?: string;
  controls: HTMLElement[];
  tiles: Tile[];
  /** Rows as wide as the stage, under the tiles. */
  wide?: HTMLElement[];
  readouts: HTMLElement[];
}

export interface Frame {
  root: HTMLElement;
  /** Tells screen readers. */
  say(text: string): void;
  /** Tells every reader what went wrong; an empty text: nothing any longer. */
  warn(text: string): void;
  /** Calls back once it is on a page and when the page's colours change: `ink` of its text, `paper` of its ground. */
  onColors(paint: (ink: string, paper: string) => void): void;
  stop(): void;
}

const GAP = 14;
const LEAST = 120; // pixels of height that pictures are given, however little is left
const MOST = { width: 1000, height: 640 }; // pixels of a picture where it is not enlarged

export function makeFrame(
  { title, hint = "" }: { title: string; hint?: string },
  sections: readonly Section[],
  /** Without one there is no button for it. */
  link?: Link,
): Frame {
  const warning = h("p", { class: "cx-warning", role: "alert" });
  const status = h("p", { class: "cx-status", role: "status", "aria-live": "polite" });
  const root = h("div", { class: "cx", role: "group", "aria-label": title || "Explorer" });
  const say = (text: string) => {
    status.textContent = text;
  };
  const tools = h("div", { class: "cx-tools" });
  tools.dataset.tool = "";
  const head = h("div", { class: "cx-head" });
  if (title) head.append(h("div", { class: "cx-title", role: "heading", "aria-level": "3" }, title));
  head.append(tools);
  if (hint) head.append(h("p", { class: "cx-hint" }, hint));
  const stages = sections.map((section) => makeStage(section));
  head.append(warning);
  root.append(h("style", {}, CSS), head, ...stages.map(({ node }) => node), status);

  if (link) {
    const share = tool(`Copy a link to ${link.to}`, ICON.link, async () => {
      const text = link.address();
      if (await copied(text)) {
        say("Copied the link.");
        flash(share);
      } else prompt("This page may not write to the clipboard. Copy the link from here:", text);
    });
    tools.append(share);
  }
  const copy = tool("Copy as a picture", ICON.picture, async () => {
    say(await copyPicture(root, title || "explorer").catch(() => "The picture could not be made."));
    flash(copy);
  });
  const large = tool("Enlarge", ICON.enlarge, () => enlarge(!isLarge()));
  tools.append(copy, large);

  // Enlarged: full screen, or where the page may not ask for that, the whole window. ----------------------------

  const isLarge = () => root.classList.contains("cx-large");
  async function enlarge(on: boolean) {
    if (!on && document.fullscreenElement === root) return void document.exitFullscreen();
    set(on);
    if (on) await root.requestFullscreen?.().catch(() => {});
  }
  function set(on: boolean) {
    root.style.setProperty("--paper", on ? paperOf(root.parentElement ?? document.body) : "");
    root.classList.toggle("cx-large", on);
    large.innerHTML = on ? ICON.shrink : ICON.enlarge;
    for (const name of ["aria-label", "title"]) large.setAttribute(name, on ? "Back to the page" : "Enlarge");
    layOut();
  }
  const left = () => {
    if (isLarge() && document.fullscreenElement !== root) set(false);
  };
  root.addEventListener("fullscreenchange", left);
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isLarge() && !document.fullscreenElement) set(false);
  });

  // Sizes and colours ------------------------------------------------------------------------------------------

  const isFilled = () => root.classList.contains("cx-fill");
  function layOut() {
    const size = Number.parseFloat(getComputedStyle(root).fontSize);
    const sided = head.clientWidth >= 50 * size; // as in house.css; on a narrow screen it is scrolled, as on its page
    root.classList.toggle("cx-fill", (isLarge() && sided) || root.closest("[data-fill]") !== null);
    for (const stage of stages) stage.fit(isFilled());
  }
  // Only what pictures follow from is watched, not what follows from them: else a pixel could go back and forth.
  let width = 0;
  const sizes = new ResizeObserver((entries) => {
    const [before, wider] = [width, root.clientWidth !== width];
    width = root.clientWidth;
    if (!before && wider) recolor(); // it had no colours before: JupyterLab draws first and puts on the page then
    if (wider || (isFilled() && entries.some(({ target }) => target !== root))) layOut();
  });
  sizes.observe(root);
  for (const { stage } of stages) sizes.observe(stage);
  addEventListener("resize", layOut);

  const painters: ((ink: string, paper: string) => void)[] = [];
  let ink = "";
  const recolor = () => {
    const now = getComputedStyle(root).color;
    if (now === ink) return;
    ink = now;
    root.style.colorScheme = isLight(ink) ? "dark" : "light";
    for (const paint of painters) paint(ink, isLight(ink) ? "#000" : "#fff");
  };
  const themes = new MutationObserver(recolor);
  for (const page of [document.body, document.documentElement]) themes.observe(page, { attributes: true });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", recolor);

  return {
    root,
    say,
    warn(text) {
      warning.textContent = text;
    },
    onColors(paint) {
      painters.push(paint);
      if (ink) paint(ink, isLight(ink) ? "#000" : "#fff");
    },
    stop() {
      sizes.disconnect();
      themes.disconnect();
      scheme.removeEventListener("change", recolor);
      removeEventListener("resize", layOut);
      root.remove();
    },
  };
}

function makeStage(section: Section) {
  const tiles = h("div", { class: "cx-tiles" }, ...section.tiles.map(({ node }) => node));
  const stage = h("div", { class: "cx-stage" }, tiles, ...(section.wide ?? []));
  const node = h("div", {
    class: section.tiles.length ? "cx-section cx-tall" : "cx-section",
    ...(section.name ? { role: "group", "aria-label": section.name } : {}),
  });
  if (section.name) node.append(h("div", { class: "cx-heading" }, section.name));
  const body = h("div", { class: section.controls.length ? "cx-body cx-sided" : "cx-body" });
  if (section.controls.length) body.append(h("div", { class: "cx-controls" }, ...section.controls));
  if (section.tiles.length || section.wide?.length) body.append(stage);
  if (section.readouts.length) body.append(h("div", { class: "cx-readouts" }, ...section.readouts));
  node.append(body);
  return {
    node,
    stage,
    fit(fills: boolean) {
      // How many lines a text takes depends on the width that its picture gets: a first guess, then as measured, and
      // again, since a smaller picture may have broken it into more.
      fitTiles(section, stage, tiles, fills, () => 40);
      fitTiles(section, stage, tiles, fills, textOf);
      fitTiles(section, stage, tiles, fills, textOf);
      // Where the width decides, height is left over: the read-outs move up to the pictures.
      const used = stage.lastElementChild?.getBoundingClientRect().bottom ?? 0;
      const free = fills ? Math.max(0, stage.getBoundingClientRect().bottom - used) : 0;
      body.style.setProperty("--free", `${free}px`);
    },
  };
}

/** Gives each tile of a section its width. */
function fitTiles(
  section: Section,
  stage: HTMLElement,
  box: HTMLElement,
  fills: boolean,
  text: (tile: Tile) => number,
): void {
  const width = Math.floor(box.getBoundingClientRect().width);
  if (!width || !section.tiles.length) return;
  const narrow = width < 520;
  const maps = narrow ? section.tiles.filter((tile) => tile.map) : [];
  const rest = section.tiles.filter((tile) => !maps.includes(tile));
  let height = fills ? stage.clientHeight : screenHeight() * (narrow ? (maps.length ? 0.66 : 0.45) : 0.68);
  if (fills) for (const other of section.wide ?? []) height -= other.offsetHeight + GAP;
  for (const map of maps) {
    const w = Math.min(width, 0.55 * Math.max(height, LEAST) * map.aspect);
    map.node.style.width = `${w}px`;
    height -= w / map.aspect + text(map) + GAP;
  }
  if (!rest.length) return;
  const aspects = rest.map(({ aspect }) => aspect);
  const most = Math.max(...rest.map(text));
  const fitted = fit(
    aspects,
    { width, height: Math.max(height, LEAST) },
    most,
    GAP,
    fills ? undefined : MOST,
  );
  place(rest, fitted);
}

function place(tiles: readonly Tile[], { rows, height }: Fitted): void {
  for (const row of split(tiles, rows)) {
    for (const { node, aspect } of row) node.style.width = `${Math.floor(height * aspect)}px`;
  }
}

/** Pixels of height that a tile needs beside its picture. */
const textOf = ({ node, picture }: Tile) =>
  Math.max(0, node.getBoundingClientRect().height - picture.getBoundingClientRect().height);

/** Of what the reader sees at once. A frame within a page, as Colab's, is as high as what stands in it: no measure. */
const screenHeight = () => Math.max(320, window.parent === window ? innerHeight : screen.availHeight * 0.85);

// Tools ------------------------------------------------------------------------------------------------------------

function tool(name: string, icon: string, press: () => unknown): HTMLButtonElement {
  const button = h("button", { class: "cx-tool", type: "button", title: name, "aria-label": name });
  button.innerHTML = icon;
  button.addEventListener("click", press);
  return button;
}

function flash(button: HTMLButtonElement): void {
  button.classList.add("cx-done");
  setTimeout(() => button.classList.remove("cx-done"), 1200);
}

const copied = (text: string): Promise<boolean> =>
  Promise.resolve(navigator.clipboard?.writeText(text)).then(
    () => navigator.clipboard !== undefined,
    () => false,
  );

/** To the clipboard, or where the page may not write there, as a file; says which. */
async function copyPicture(root: HTMLElement, title: string): Promise<string> {
  const canvas = pictureOf(root);
  const blob = new Promise<Blob>((resolve, reject) => {
    canvas.toBlob((made) => (made ? resolve(made) : reject(new Error("no picture"))), "image/png");
  });
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
    return "Copied the picture.";
  } catch {
    const url = URL.createObjectURL(await blob);
    h("a", { href: url, download: `${title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-")}.png` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    return "Saved the picture as a file.";
  }
}

const icon = (path: string) => `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`;

const ICON = {
  enlarge: icon("M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4"),
  shrink: icon("M6 2v4H2M14 6h-4V2M10 14v-4h4M2 10h4v4"),
  picture: icon("M2 3h12v10H2zM2 11l4-4 3 3 2-2 3 3M11 6h.01"),
  link: icon("M7 9a3 3 0 0 0 4.2 0l2-2A3 3 0 0 0 9 2.8l-1 1M9 7a3 3 0 0 0-4.2 0l-2 2A3 3 0 0 0 7 13.2l1-1"),
};
