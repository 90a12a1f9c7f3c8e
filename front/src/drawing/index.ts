// Draw a digit, and see what trained networks make of it.

import type { AnyModel } from "@anywidget/types";
import { makeCheck } from "../house/controls.ts";
import { h } from "../house/dom.ts";
import { makeFrame, type Tile } from "../house/frame.ts";
import { makeSharing } from "../house/sharing.ts";
import * as address from "./address.ts";
import { makeBoard } from "./board.ts";
import { type Client, connect } from "./client.ts";
import { DIGITS, UNDECIDED } from "./digits.ts";
import CSS from "./drawing.css";
import { type Answer, type Film, type Quick, type Reading, read } from "./engine.ts";
import { type MapState, makeMap } from "./map.ts";
import type { Packed } from "./networks.ts";
import { SIDE } from "./strokes.ts";

interface State {
  title: string;
  packed: Packed;
  weights: DataView | string;
  plane: MapState;
  /** The mean squared error on real digits. */
  usual: { autoencoder: number; vae: number };
}

const HINT =
  "Try: draw a 4 that could be a 9; a letter; two digits beside each other. Then erase a part of it.";
const KNOWN =
  "All were trained on MNIST's handwritten digits and on nothing else: whatever you draw, they look for a digit in it. " +
  "Autoencoder and VAE press it through 16 numbers; the error is squared and summed over the pixels, in brackets its " +
  "mean for real digits.";
const OPENING: address.Shared = { strokes: UNDECIDED, wish: address.NO_WISH, seed: 1, centred: true };

function render({ model, el }: { model: AnyModel<State>; el: HTMLElement }) {
  let { wish, seed, centred } = OPENING;
  let sent = 0; // requests
  let client: Client | null = null;
  let over = false;
  let asked = 0;

  // Controls -----------------------------------------------------------------------------------------------------

  const now = (): address.Shared => ({ strokes: board.strokes(), wish, seed, centred });
  const sharing = makeSharing(
    el,
    "this drawing",
    () => address.write(now()),
    (values) => {
      const shared = address.read(values);
      if (!shared) return false;
      ({ wish, seed, centred } = shared);
      choices[(wish + 1) % choices.length].checked = true;
      (preparing.control as HTMLInputElement).checked = centred;
      board.put(shared.strokes);
      return true;
    },
  );
  const board = makeBoard(OPENING.strokes, () => ask());
  const button = (label: string, press: () => void) => {
    const node = h("button", { class: "dr-button", type: "button" }, label);
    node.addEventListener("click", press);
    return node;
  };
  const rubber = button("Eraser", () => {
    board.erasing = !board.erasing;
    rubber.setAttribute("aria-pressed", String(board.erasing));
  });
  rubber.setAttribute("aria-pressed", "false");
  const tools = h(
    "div",
    { class: "dr-row" },
    button("Clear", () => board.put([])),
    button("Undo", () => board.undo()),
    rubber,
  );
  const examples = h(
    "div",
    { class: "dr-digits", role: "group", "aria-label": "Put a digit on the board" },
    ...DIGITS.map((strokes, digit) => {
      const node = button(String(digit), () => board.put(strokes));
      node.setAttribute("aria-label", `Put a ${digit} on the board`);
      return node;
    }),
  );
  const preparing = makeCheck("scale and centre the drawing, as MNIST's digits were", centred, (on) => {
    centred = on;
    ask();
  });
  const keys = h("p", { class: "dr-note" }, "Keys on the board: 0–9 · arrows · [ ] turn · + − · Backspace");
  const draw = h("div", { class: "cx-full dr-draw" }, board.node, tools, examples, preparing, keys);

  const id = `dr${Math.random().toString(36).slice(2)}`;
  const choices = ["any", ..."0123456789"].map((_, k) => {
    const input = h("input", { type: "radio", name: id, checked: k === 0 });
    input.addEventListener("change", () => {
      wish = k === 0 ? address.NO_WISH : k - 1;
      ask();
    });
    return input;
  });
  const wishes = h(
    "div",
    { class: "cx-words", role: "radiogroup", "aria-label": "Ask the diffusion model for" },
    ...choices.map((input, k) =>
      h("label", { class: "cx-item" }, input, h("span", {}, k ? `${k - 1}` : "any")),
    ),
  );
  const noise = button("Other noise", () => {
    seed += 1;
    ask();
  });
  const asking = h("div", { class: "dr-row dr-asking" }, h("span", {}, "Ask it for"), wishes, noise);

  // What is shown ------------------------------------------------------------------------------------------------

  const looking = picture("what they see");
  const bars = makeBars();
  const map = makeMap(model.get("plane"));
  const { autoencoder: usualAe, vae: usualVae } = model.get("usual");
  const rebuilt = [
    { ...picture("autoencoder"), usual: usualAe },
    { ...picture("VAE"), usual: usualVae },
  ];
  // From the latest time on, 0 left out, one step to each.
  const films = model
    .get("packed")
    .networks.times.slice(1, -1)
    .reverse()
    .map((t, k) => {
      return makeFilm(`t₀ = ${t}, back in ${k ? `${k + 1} steps` : "1 step"}`, k + 2);
    });
  const row = h("div", { class: "dr-films" }, ...films.map(({ node }) => node));
  const known = h("p", { class: "dr-note" }, KNOWN);
  const sections = [
    {
      controls: [draw],
      tiles: [looking.tile, ...rebuilt.map(({ tile }) => tile), bars.tile, map.tile],
      wide: [known],
      readouts: [],
    },
    {
      name: "Noise is added up to a time t₀, and a diffusion model takes it away",
      controls: [],
      tiles: [],
      wide: [asking, row],
      readouts: [],
    },
  ];
  const frame = makeFrame({ title: model.get("title"), hint: HINT }, sections, sharing.link);
  frame.root.classList.add("dr");
  frame.root.append(h("style", {}, CSS));
  el.append(frame.root);
  frame.onColors(map.paint);
  sharing.follow();

  // Questions and answers ----------------------------------------------------------------------------------------

  function ask() {
    // Not more often than the page is drawn.
    if (!asked && client && !over)
      asked = requestAnimationFrame(() => {
        asked = 0;
        sent += 1;
        client?.ask({ number: sent, ...now() });
      });
  }

  let said: ReturnType<typeof setTimeout> | undefined;
  function receive(answer: Answer) {
    if (over) return;
    const fresh = answer.number === sent;
    if (answer.kind !== "film") frame.warn("");
    if (answer.kind === "quick") showQuick(answer);
    else if (answer.kind === "empty") showEmpty();
    else if (answer.kind === "failure") showFailure(answer.reason);
    else if (fresh) showFilm(answer);
    if (answer.kind === "quick") for (const film of films) film.age();
    if (answer.kind === "quick" && fresh) {
      clearTimeout(said);
      said = setTimeout(() => frame.say(`The classifier reads ${named(read(answer.classes))}.`), 700);
    }
  }
  function showQuick({ image, classes, place: code, ...rest }: Quick) {
    looking.draw(image);
    bars.update(classes);
    map.move([code[0], code[1]]);
    for (const [k, x] of [rest.autoencoder, rest.vae].entries()) {
      const error = x.reduce((sum, value, i) => sum + (value - image[i]) ** 2, 0);
      rebuilt[k].draw(x);
      rebuilt[k].note(`error ${error.toFixed(0)} (real: ${rebuilt[k].usual.toFixed(0)})`);
    }
  }
  function showEmpty() {
    blank();
    frame.say("The board is empty.");
  }
  function showFailure(reason: string) {
    blank();
    clearTimeout(said);
    frame.warn(
      `Something went wrong in the networks, so nothing is shown. Draw on, or reload the page. (${reason})`,
    );
  }
  function blank() {
    looking.draw(null);
    bars.update(null);
    map.move(null);
    for (const one of rebuilt) {
      one.draw(null);
      one.note("");
    }
    for (const film of films) film.show(null);
  }
  function showFilm(answer: Film) {
    films[films.length - answer.start].show(answer);
  }

  async function start() {
    const ready = await connect(
      { packed: model.get("packed"), weights: bytesOf(model.get("weights")) },
      receive,
    );
    if (over) return ready.stop();
    client = ready;
    ask();
  }
  start().catch((reason) => {
    blank();
    frame.warn(
      "The networks cannot be read, so the pictures stay empty. Reload the page, or in a notebook run the cell again. " +
        `(${reason})`,
    );
  });

  return () => {
    over = true;
    client?.stop();
    sharing.stop();
    clearTimeout(said);
    frame.stop();
  };
}

const named = ({ digit, confidence }: Reading): string => `${digit}, ${percent(confidence)}`;
const percent = (share: number): string =>
  `${(100 * share).toFixed(share > 0.995 || share < 0.0005 ? 0 : 1)}\u00a0%`;

/** Bytes as a kernel sends them, or in base64, as a page stores them. */
function bytesOf(value: DataView | string): Uint8Array<ArrayBuffer> {
  if (typeof value === "string") return Uint8Array.from(atob(value), (letter) => letter.charCodeAt(0));
  return new Uint8Array(
    value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength) as ArrayBuffer,
  );
}

/** Draws images of values in [-1, 1] beside each other, with a gap of a pixel; null: a blank. */
function paint(canvas: HTMLCanvasElement, images: readonly (Float32Array | null)[]): void {
  const g = canvas.getContext("2d")!;
  g.clearRect(0, 0, canvas.width, canvas.height);
  for (const [k, image] of images.entries()) {
    const pixels = new ImageData(SIDE, SIDE);
    for (let i = 0; i < SIDE * SIDE; i++) {
      pixels.data.fill(image ? Math.round((image[i] + 1) * 127.5) : 0, 4 * i, 4 * i + 3);
      pixels.data[4 * i + 3] = 255;
    }
    g.putImageData(pixels, k * (SIDE + 1), 0);
  }
}

const figure = (title: string, ...body: HTMLElement[]): HTMLElement =>
  h("figure", { class: "cx-panel" }, h("figcaption", {}, title), ...body);

/** A canvas for so many images beside each other. */
function canvasFor(title: string, count: number): HTMLCanvasElement {
  const width = count * (SIDE + 1) - 1;
  return h("canvas", { class: "cx-tile", width, height: SIDE, role: "img", "aria-label": title });
}

const under = (): HTMLElement => h("div", { class: "dr-under" }, "\u00a0");

function picture(title: string) {
  const [canvas, note] = [canvasFor(title, 1), under()];
  const tile: Tile = { node: figure(title, canvas, note), picture: canvas, aspect: 1 };
  return {
    tile,
    draw: (image: Float32Array | null) => paint(canvas, [image]),
    note: (text: string) => {
      note.textContent = text;
    },
  };
}

/** The classifier's ten probabilities. */
function makeBars() {
  const rows = DIGITS.map((_, digit) => {
    const bar = h("i");
    const value = h("span", { class: "cx-value" });
    const row = h(
      "div",
      { class: "dr-class" },
      h("span", {}, String(digit)),
      h("div", { class: "cx-bar" }, bar),
      value,
    );
    return { row, bar, value };
  });
  const body = h("div", { class: "dr-bars" }, ...rows.map(({ row }) => row));
  const tile: Tile = { node: figure("the classifier", body), picture: body, aspect: 1 };
  return {
    tile,
    update(classes: Float32Array | null) {
      const best = classes && read(classes).digit;
      for (const [digit, { row, bar, value }] of rows.entries()) {
        const share = classes?.[digit] ?? 0;
        bar.style.width = `${100 * share}%`;
        value.textContent = classes ? percent(share) : "–";
        row.classList.toggle("dr-best", digit === best);
      }
    },
  };
}

/** The drawing made noisy, and the clean images that the model sees on its way back. */
function makeFilm(title: string, count: number) {
  const [canvas, note] = [canvasFor(title, count), under()];
  const node = figure(title, canvas, note);
  node.style.setProperty("--count", String(count));
  return {
    node,
    show(film: Film | null) {
      canvas.classList.remove("dr-old");
      paint(canvas, film?.frames ?? Array.from({ length: count }, () => null));
      note.textContent = film ? `read as ${named(film.reading)}` : "";
    },
    /** What it shows belongs to an earlier drawing. */
    age() {
      canvas.classList.add("dr-old");
      note.textContent = "being computed";
    },
  };
}

export default { render };
