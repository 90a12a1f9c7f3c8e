// A diffusion model of the plane, trained before the reader's eyes, while points go back from noise.
import { makePlayButton } from "../house/controls.ts";
import { h } from "../house/dom.ts";
import { choice, layers, readout, sign, slider } from "./controls.ts";
import { DENSITIES, DENSITY_NAMES, drawPoints, quality } from "./densities.ts";
import { alphaBar, bestLoss, Diffusion, idealNoise, noisy, timeSteps, wayBack } from "./diffusion.ts";
import { Chart, COLORS, Plane, places } from "./drawing.ts";
import { Random } from "./random.ts";
import { DIFFUSION_KNOBS, type DiffusionState } from "./settings.ts";
import { type Play, RUN, SHOWN } from "./stage.ts";

const OPENING = 80; // steps that are trained before the first picture
const TAILED = 30; // that drag their path behind them
const FILM = 4; // seconds that the way back takes
const HOLD = 1.2; // seconds that its end stays
const REACH = 0.22; // of the arrows, as a share of the way

export function diffusionPlay(
  state: DiffusionState,
  redraw: (fresh: boolean) => void,
  save: () => void,
): Play {
  const plane = new Plane("Points on their way back from noise, over the data and the network’s arrows");
  const shows = { learned: true, ideal: true, data: true };
  const grid = places(16, 12);
  const start = new Random(1).normals(2 * SHOWN);
  let model: Diffusion;
  let data: Float64Array;
  let judged: Float64Array; // noise by which the arrows are judged
  let lately: number[] = [];
  let ideal = { t: -1, arrows: grid };
  let best = 0;
  const chart = new Chart(
    "The loss over the training steps",
    [{ name: "loss", color: COLORS.blue, dash: [] }],
    1,
    RUN,
    [],
  );

  // The way back: the states of the pass that is shown, and of the one that is being computed.
  let times = timeSteps(state.steps);
  let shown: Float64Array[] = [start];
  let coming: ReturnType<typeof wayBack>;
  let made: Float64Array[] = [];
  let clock = 0; // seconds since the film began
  let film = true;
  let passed = -1; // the training step at which the last pass began
  let at = 0; // the state that is shown
  let ended: Float64Array | null = null; // where the last whole pass came to

  const see = (x: Float64Array, t: number) => model.noise(x, t);
  function depart() {
    coming = wayBack(see, start, state.steps, state.sampler === "ddpm" ? 1 : 0, new Random(3));
    made = [];
  }
  /** Takes the coming pass so many states further. */
  function advance(most: number, upTo: number) {
    for (let k = 0; k < most && made.length <= upTo; k++) {
      const next = coming.next();
      if (next.done) return;
      made.push(next.value.x);
    }
    if (made.length === times.length) ended = made[times.length - 1];
  }
  function rewind() {
    times = timeSteps(state.steps);
    clock = 0;
    at = 0;
    depart();
    advance(1, 0);
    shown = made;
    timer.set(0);
  }

  const density = () => DENSITIES[state.density];
  function begin(steps = 0) {
    model = new Diffusion(density(), state.lr, state.seed);
    data = drawPoints(density(), SHOWN, new Random(2));
    judged = new Random(4).normals(2 * SHOWN);
    lately = [];
    ended = null;
    ideal = { t: -1, arrows: grid };
    chart.reset(RUN);
    while (model.steps < steps) step();
    rewind();
  }
  function step() {
    const loss = model.step();
    lately = [...lately.slice(-99), loss];
    chart.add(model.steps - 1, [loss]);
  }
  function markBest() {
    best = bestLoss(density(), 3000, new Random(5));
    chart.mark([{ at: best, name: "best possible" }]);
  }
  const change = (changed: Partial<DiffusionState>, fresh = false) => {
    Object.assign(state, changed);
    model.lr = state.lr;
    if (fresh) {
      markBest();
      begin(OPENING);
    } else rewind();
    redraw(fresh);
    save();
  };

  const knob = (name: string, key: "steps" | "lr" | "seed") =>
    slider(name, DIFFUSION_KNOBS[key], state[key], String, (value) =>
      change({ [key]: value }, key === "seed"),
    ).node;

  const said = {
    loss: readout("loss, last 100 steps"),
    best: readout("best possible loss"),
    off: readout("arrows off the ideal"),
    near: readout("ended near data", 1),
    covered: readout("covered, of 8", 8),
  };

  const SLOTS = 100; // positions of the slider of t, from T on the left to 0
  const slots = Array.from({ length: SLOTS + 1 }, (_, k) => k);
  const stateAt = (slot: number) => Math.round((slot * state.steps) / SLOTS);
  const timer = slider(
    "time t",
    slots,
    0,
    (slot) => String(timeSteps(state.steps)[stateAt(slot)]),
    (slot) => {
      setFilm(false);
      at = stateAt(slot);
      depart();
      advance(Number.POSITIVE_INFINITY, at);
      shown = made;
      depart();
      redraw(false);
    },
  );
  const reel = makePlayButton("the way back", () => setFilm(!film));
  timer.node.querySelector(".cx-slide")!.prepend(reel.node);
  timer.node.classList.add("cx-time");
  // Who takes hold of the slider stops the film, even where the slider cannot move further.
  timer.input.addEventListener("pointerdown", () => setFilm(false));
  timer.input.addEventListener("keydown", ({ key }) => {
    if (/^(Arrow|Home|End|Page)/.test(key)) setFilm(false);
  });
  function setFilm(on: boolean) {
    if (on && !film) rewind();
    film = on;
    reel.show(on);
  }

  markBest();
  begin(OPENING);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  setFilm(!still);
  if (still) {
    at = stateAt(80);
    advance(Number.POSITIVE_INFINITY, at);
    timer.set(80);
  }

  /** The mean squared distance of ε̂ from the ideal, where noisy data lie: by so much the loss at t is too high. */
  function off(t: number): number {
    const few = noisy(data.subarray(0, 240), t, judged.subarray(0, 240));
    const wanted = idealNoise(density(), few, t);
    return see(few, t).reduce((sum, value, k) => sum + (value - wanted[k]) ** 2, 0) / few.length;
  }

  /** Each arrow leads towards √ᾱ x̂₀, where the point would be without its noise: minus √(1 - ᾱ) ε̂. */
  const arrowsOf = (eps: Float64Array, t: number) => eps.map((value) => -Math.sqrt(1 - alphaBar[t]) * value);

  return {
    hint: "Try: start again and watch the arrows turn. Drag t. Then take 3 steps instead of 50.",
    unit: "step",
    plane,
    caption: h(
      "span",
      { class: "cx-signs" },
      sign("●", COLORS.made, "on the way back from noise"),
      sign("●", "color-mix(in srgb, currentColor 40%, transparent)", "data"),
      sign("➡", COLORS.blue, "the network’s arrows"),
      sign("→", "inherit", "the ideal ones"),
    ),
    chart,
    controls: [
      choice("data", DENSITY_NAMES, state.density, (name) => change({ density: name }, true)),
      knob("steps of the way back", "steps"),
      choice("sampler", { ddim: "DDIM", ddpm: "DDPM, new noise" }, state.sampler, (sampler) =>
        change({ sampler }),
      ),
      knob("learning rate", "lr"),
      knob("seed", "seed"),
      layers(shows, { learned: "the network’s arrows", ideal: "the ideal arrows", data: "the data" }, () =>
        redraw(false),
      ),
    ],
    buttons: [timer.node],
    readouts: Object.values(said),
    steps: () => model.steps,
    step,
    reset: () => begin(),
    move(seconds) {
      if (!film) {
        // The same moment, by the network as it is now: a pass at a time, a few steps a picture.
        if (!made.length && passed === model.steps) return false;
        passed = model.steps;
        advance(4, at);
        if (made.length <= at) return false;
        shown = made;
        depart();
        return true;
      }
      clock += seconds;
      if (clock > FILM + HOLD) {
        rewind();
        return true;
      }
      const due = Math.min(state.steps, Math.floor((clock / FILM) * state.steps));
      advance(4, due);
      const now = made.length - 1;
      if (now === at) return false;
      at = now;
      timer.set(Math.round((at * SLOTS) / state.steps));
      return true;
    },
    draw() {
      const t = times[at];
      plane.clear();
      if (shows.data) plane.dots(data, plane.ink, 1.5, 0.35);
      if (t > 0) {
        if (ideal.t !== t) ideal = { t, arrows: arrowsOf(idealNoise(density(), grid, t), t) };
        if (shows.learned) plane.arrows(grid, arrowsOf(see(grid, t), t), REACH, COLORS.blue, 3, 1.2, 0.5);
        if (shows.ideal) plane.arrows(grid, ideal.arrows, REACH, plane.ink, 1, 1.2, 0.8);
      }
      for (let k = 0; k < TAILED; k++) {
        const path = shown.slice(0, at + 1).flatMap((x) => [x[2 * k], x[2 * k + 1]]);
        plane.line(path, COLORS.made, 1.1, 0.6);
      }
      plane.dots(shown[Math.min(at, shown.length - 1)], COLORS.made, 2.4);
    },
    measure() {
      const mean = lately.reduce((sum, value) => sum + value, 0) / Math.max(1, lately.length);
      said.loss.show(lately.length ? mean.toFixed(3) : "–");
      said.best.show(best.toFixed(3));
      said.off.show(times[at] > 0 ? off(times[at]).toFixed(3) : "–");
      if (!ended) {
        said.near.show("–");
        said.covered.show("–");
        return;
      }
      const { near, covered } = quality(density(), ended);
      said.near.show(`${Math.round(100 * near)} %`, near);
      said.covered.show(String(covered), covered);
    },
  };
}
