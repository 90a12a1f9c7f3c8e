// What both playgrounds share: the frame, the buttons that play, and the loop that trains and draws.
import { makePlayButton } from "../house/controls.ts";
import { h } from "../house/dom.ts";
import { makeFrame } from "../house/frame.ts";
import type { Link } from "../house/sharing.ts";
import { button, type readout, slider } from "./controls.ts";
import { ASPECT, type Chart, type Plane } from "./drawing.ts";

export const RUN = 2000; // steps after which training pauses of itself
export const SHOWN = 400; // points of each kind in the picture

const SPEEDS = [1 / 16, 1 / 4, 1, 2, 4, 8] as const;
const BUDGET = 14; // milliseconds of a picture's time that training may take, so that 30 pictures a second are left

export interface Play {
  hint: string;
  unit: string; // what a step is called
  plane: Plane;
  caption: HTMLElement; // what the signs in the picture mean
  chart: Chart;
  controls: HTMLElement[];
  buttons: HTMLElement[]; // beside play, step and start again
  readouts: ReturnType<typeof readout>[];
  steps(): number;
  /** Trains once. */
  step(): void;
  /** Untrained again, from the same seed. */
  reset(): void;
  /** What moves without training, by so many seconds; whether anything did. */
  move(seconds: number): boolean;
  draw(): void;
  measure(): void;
}

export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
}

/** Shows a playground in `el`; returns what ends it. link: to its settings. `make` gets `redraw` for its controls; fresh: another run. */
export function show(
  el: HTMLElement,
  title: string,
  link: Link | undefined,
  make: (redraw: (fresh: boolean) => void) => Play,
): () => void {
  let dirty = true;
  let end = RUN;
  let playing = false;
  let speed: number = 1;
  let owed = 0; // steps, where less than one is due in a picture
  let seen = true; // on the screen
  let pictures = 0;
  let last = performance.now();
  const play = make((fresh) => {
    dirty = true;
    if (fresh) restart();
  });

  const main = makePlayButton("the training", () => setPlaying(!playing));
  const one = button("One step", () => {
    setPlaying(false);
    train();
    tell();
  });
  const again = button("Start again", () => {
    play.reset();
    restart();
    tell();
  });
  const count = h("span", { class: "cx-value cx-count" });
  const pace = slider(
    "speed",
    SPEEDS,
    speed as (typeof SPEEDS)[number],
    (value) => (value < 1 ? `1 in ${1 / value} pictures` : `${value} a picture`),
    (value) => {
      speed = value;
    },
  );
  const bar = h("div", { class: "cx-transport" }, main.node, one, again, ...play.buttons, count);
  const tile = h("figure", { class: "cx-panel" }, play.plane.node, h("figcaption", {}, play.caption));
  const section = {
    controls: [...play.controls, pace.node],
    tiles: [{ node: tile, picture: play.plane.node, aspect: ASPECT, map: true }],
    wide: [bar],
    readouts: [h("div", { class: "cx-full" }, play.chart.node), ...play.readouts.map(({ node }) => node)],
  };
  const frame = makeFrame({ title, hint: play.hint }, [section], link);
  frame.root.prepend(h("style", {}, CSS));
  frame.root.classList.add("cx-playground");
  el.append(frame.root);
  frame.onColors((ink, paper) => {
    for (const canvas of [play.plane, play.chart]) Object.assign(canvas, { ink, paper });
    dirty = true;
  });

  function restart() {
    end = RUN;
    owed = 0;
    dirty = true;
    play.measure();
  }
  function train() {
    if (play.steps() >= end) {
      end *= 2;
      play.chart.double();
    }
    play.step();
    dirty = true;
  }
  function setPlaying(on: boolean) {
    playing = on;
    main.show(on);
    if (!on) tell();
  }
  const tell = () => {
    play.measure();
    const parts = play.readouts.map(({ name, text }) => `${name} ${text()}`);
    frame.say(`${play.unit} ${play.steps()}: ${parts.join(", ")}`);
  };

  function picture(now: number) {
    frameId = requestAnimationFrame(picture);
    const seconds = Math.min(0.1, (now - last) / 1000);
    last = now;
    if (!seen || document.hidden) return;
    if (playing) {
      owed = Math.min(owed + speed, 2 * speed);
      const begun = performance.now();
      while (owed >= 1 && performance.now() - begun < BUDGET) {
        owed--;
        train();
        if (play.steps() < end) continue;
        setPlaying(false);
        break;
      }
    }
    if (play.move(seconds)) dirty = true;
    if (!dirty) return;
    dirty = false;
    pictures++;
    play.draw();
    if (pictures % 8 === 1 || !playing) play.measure();
    if (pictures % 4 === 1 || !playing) play.chart.draw(play.unit);
    count.textContent = `${play.unit} ${play.steps().toLocaleString("en")}`;
  }
  let frameId = requestAnimationFrame(picture);

  const sight = new IntersectionObserver(([entry]) => {
    seen = entry.isIntersecting;
  });
  sight.observe(play.plane.node);
  const sizes = new ResizeObserver(() => {
    dirty = true;
  });
  sizes.observe(play.plane.node);
  restart();
  setPlaying(!matchMedia("(prefers-reduced-motion: reduce)").matches);

  return () => {
    cancelAnimationFrame(frameId);
    sight.disconnect();
    sizes.disconnect();
    frame.stop();
  };
}

const CSS = `
/* On a phone the knobs come right under the picture, and what is read off under them. */
@container cx (max-width: 49.99em) { .cx-playground .cx-readouts { order: 3; } }
/* Enlarged on a small screen, the buttons under the picture stay whole; what does not fit is scrolled. */
.cx-playground.cx-fill .cx-tall .cx-stage { min-height: 23em; }
.cx-playground.cx-fill .cx-readouts .cx-plane { height: 5em !important; }
@container cx (max-width: 49.99em) {
  .cx-playground.cx-fill .cx-tall .cx-stage { min-height: 30em; }
  .cx-playground.cx-fill .cx-tall .cx-readouts { top: 0; }
}
.cx-plane { display: block; width: 100%; border-radius: 6px; outline: 1px solid var(--line); }
.cx-panel .cx-plane { height: auto; aspect-ratio: ${ASPECT}; }
.cx-transport { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5em 0.7em; }
.cx .cx-button { padding: 0.3em 0.8em; border: 1px solid var(--line); border-radius: 1em; background: none;
  color: inherit; font: inherit; cursor: pointer; }
.cx .cx-button:hover { background: var(--soft); }
.cx-count { margin-left: auto; }
.cx-transport .cx-time { flex: 1 1 14em; }
.cx .cx-signs { display: flex; margin-top: 0.35em; flex-wrap: wrap; gap: 0 1em; font-size: 0.93em; line-height: 1.35; }
.cx-signs b { margin-right: 0.3em; forced-color-adjust: none; }
`;
