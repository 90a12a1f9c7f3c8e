// The game of a GAN in the plane, played before the reader's eyes.
import { h } from "../house/dom.ts";
import { minus } from "../house/numbers.ts";
import { choice, layers, readout, sign, slider } from "./controls.ts";
import { DENSITIES, DENSITY_NAMES, drawPoints, energyDistance, meanDistance, quality } from "./densities.ts";
import { Chart, COLORS, Plane, places } from "./drawing.ts";
import { Game, type GeneratorLoss, type Round } from "./gan.ts";
import { Random } from "./random.ts";
import { GAN_KNOBS, type GanState } from "./settings.ts";
import { type Play, RUN, SHOWN } from "./stage.ts";

const OPENING = 120; // turns of both that are taken before the first picture
const PULLED = 50; // that have an arrow
const LINES = 13; // of the grid, each way
const NODES = 25; // points of a line

export function ganPlay(state: GanState, redraw: (fresh: boolean) => void, save: () => void): Play {
  const plane = new Plane("Real and generated points in the plane, and what the discriminator answers there");
  const chart = new Chart(
    "The two losses over the rounds",
    [
      { name: "D", color: COLORS.blue, dash: [] },
      { name: "G", color: COLORS.made, dash: [5, 3] },
    ],
    3,
    RUN,
    [
      { at: 2 * Math.log(2), name: "D’s at D = ½" },
      { at: Math.log(2), name: "G’s at D = ½" },
    ],
  );
  const shows = { field: true, arrows: true, grid: true };
  const grid = places();
  const nodes = latentGrid();
  const z = new Random(1).normals(2 * SHOWN);
  let game: Game;
  let real: Float64Array;
  let within = 0;
  let lately: Round[] = [];
  let field: Float64Array | null = null;
  let warped: Float64Array | null = null;
  let odd = false;

  function begin(rounds = 0) {
    const density = DENSITIES[state.density];
    game = new Game(density, state, state.seed);
    real = drawPoints(density, SHOWN, new Random(2));
    within = meanDistance(real, real);
    lately = [];
    field = warped = null;
    chart.reset(RUN);
    while (game.rounds < rounds) step();
  }
  function step() {
    const round = game.round();
    lately = [...lately.slice(-19), round];
    chart.add(game.rounds - 1, [round.lossD, round.lossG]);
  }
  const mean = (of: keyof Round) =>
    lately.reduce((sum, round) => sum + round[of], 0) / Math.max(1, lately.length);

  const said = {
    lossD: readout("D’s loss"),
    lossG: readout("G’s loss"),
    real: readout("D(real)", 1),
    fake: readout("D(generated)", 1),
    covered: readout("covered, of 8", 8),
    near: readout("near the data", 1),
    away: readout("energy distance"),
  };
  const change = (changed: Partial<GanState>, fresh = false) => {
    Object.assign(state, changed);
    if (fresh) open();
    redraw(fresh);
    save();
  };
  const knob = (name: string, key: "turnsD" | "turnsG" | "r1" | "lrD" | "lrG" | "seed") =>
    slider(name, GAN_KNOBS[key], state[key], String, (value) => change({ [key]: value }, key === "seed"))
      .node;

  const open = () => begin(Math.ceil(OPENING / (state.turnsD + state.turnsG)));
  open();
  return {
    hint: "Try: give G five turns a round, set R1 to 0 and start again. Then set R1 to 20 and start again.",
    unit: "round",
    plane,
    caption: h(
      "span",
      { class: "cx-signs" },
      sign("●", "inherit", "real"),
      sign("✕", COLORS.made, "generated"),
      sign("■", COLORS.blue, "D says real"),
      sign("■", COLORS.red, "D says generated"),
      sign("→", "inherit", "where G’s loss pulls"),
      sign("▦", COLORS.made, "noise square, bent by G"),
    ),
    chart,
    controls: [
      choice("data", DENSITY_NAMES, state.density, (density) => change({ density }, true)),
      knob("D’s turns a round", "turnsD"),
      knob("G’s turns a round", "turnsG"),
      knob("R1 penalty, γ", "r1"),
      knob("D’s learning rate", "lrD"),
      knob("G’s learning rate", "lrG"),
      choice<GeneratorLoss>(
        "G’s loss",
        { "non-saturating": "−log D", minimax: "log(1 − D)" },
        state.loss,
        (loss) => change({ loss }),
      ),
      knob("seed", "seed"),
      layers(shows, { field: "D’s answer", arrows: "arrows", grid: "G’s net" }, () => redraw(false)),
    ],
    buttons: [],
    readouts: Object.values(said),
    steps: () => game.rounds,
    step,
    reset: () => begin(),
    move: () => false,
    draw() {
      odd = !odd; // the two costly parts in turn
      if (odd || !field) field = game.answer(grid);
      if (!odd || !warped) warped = game.G.forward(nodes, nodes.length / 2);
      const made = game.G.forward(z, SHOWN);
      plane.clear();
      if (shows.field) plane.field(field);
      if (shows.grid)
        for (let k = 0; k < 2 * LINES; k++)
          plane.line(warped.subarray(2 * NODES * k, 2 * NODES * (k + 1)), COLORS.made, 0.9, 0.55);
      plane.dots(real, plane.ink, 1.7, 0.75);
      plane.crosses(made, COLORS.made, 2.6);
      if (shows.arrows) {
        const some = made.slice(0, 2 * PULLED);
        plane.arrows(some, game.pull(some), 0.7, plane.ink, 1.2);
      }
    },
    measure() {
      const density = DENSITIES[state.density];
      const made = game.G.forward(z, SHOWN);
      const { near, covered } = quality(density, made);
      const some = (key: "lossD" | "lossG" | "real" | "fake") =>
        said[key].show(lately.length ? minus(mean(key).toFixed(2)) : "–", lately.length ? mean(key) : 0);
      for (const key of ["lossD", "lossG", "real", "fake"] as const) some(key);
      said.covered.show(String(covered), covered);
      said.near.show(`${Math.round(100 * near)} %`, near);
      said.away.show(minus(energyDistance(real, within, made).toFixed(3)));
    },
  };
}

/** The lines of a grid over the noise in [-2, 2]², each of `NODES` points: those along one axis, then the others. */
function latentGrid(): Float64Array {
  const x: number[] = [];
  const at = (k: number, n: number) => -2 + (4 * k) / (n - 1);
  for (const across of [true, false])
    for (let line = 0; line < LINES; line++)
      for (let node = 0; node < NODES; node++) {
        const [a, b] = [at(line, LINES), at(node, NODES)];
        x.push(...(across ? [a, b] : [b, a]));
      }
  return Float64Array.from(x);
}
