// biome-ignore-all lint/suspicious/noExplicitAny: what is asked is JSON
// Not a test: computes with the playground's modules what a Python test asks for. JSON in by stdin, JSON out.
import {
  DENSITIES,
  type DensityName,
  drawPoints,
  energyDistance,
  meanDistance,
  quality,
} from "../src/playground/densities.ts";
import {
  alphaBar,
  Diffusion,
  entering,
  idealNoise,
  noisy,
  sinusoids,
  stepBack,
  timeSteps,
} from "../src/playground/diffusion.ts";
import { Game, type GanSettings } from "../src/playground/gan.ts";
import { type Activation, Adam, Network } from "../src/playground/network.ts";
import { Random } from "../src/playground/random.ts";
import * as settings from "../src/playground/settings.ts";

const f = (values: number[]): Float64Array => Float64Array.from(values);

function network(sizes: number[], activation: Activation, parameters: number[]): Network {
  const net = new Network(sizes, activation, new Random(0));
  net.parameters.set(parameters);
  return net;
}

const ASKED: Record<string, (given: any) => unknown> = {
  network({ sizes, activation, parameters, x, output, steps, lr, betas }) {
    const net = network(sizes, activation, parameters);
    const adam = new Adam(net, betas);
    const seen = [];
    for (let k = 0; k < steps; k++) {
      const y = net.forward(f(x), x.length / sizes[0]);
      const input = net.backward(f(output), { input: true });
      seen.push({ y: [...y], input: [...input], gradient: [...net.gradient] });
      adam.step(lr);
    }
    return { seen, parameters: [...net.parameters] };
  },
  gan({ density, G, D, real, z, settings }: { settings: GanSettings } & Record<string, any>) {
    const game = new Game(DENSITIES[density as DensityName], settings, 0);
    game.G.parameters.set(G);
    game.D.parameters.set(D);
    const turnD = game.discriminatorGradient(f(real), f(z));
    const gradientD = [...game.D.gradient];
    const untouched = game.G.gradient.every((value) => value === 0);
    game.D.gradient.fill(0);
    const lossG = game.generatorGradient(f(z));
    return {
      ...turnD,
      lossG,
      gradientD,
      gradientG: [...game.G.gradient],
      untouched: untouched && game.D.gradient.every((v) => v === 0),
      pull: [...game.pull(f(real))],
      answer: [...game.answer(f(real))],
    };
  },
  diffusion({ parameters, x0, t, eps }) {
    const model = new Diffusion(DENSITIES.moons, 1e-3, 0);
    model.net.parameters.set(parameters);
    const loss = model.gradientOf(f(x0), t, f(eps));
    const x = noisy(f(x0), t, f(eps));
    return {
      sizes: model.net.sizes,
      loss,
      gradient: [...model.net.gradient],
      xt: [...x],
      entering: [...entering(x, t)],
    };
  },
  average({ weights }) {
    const model = new Diffusion(DENSITIES.moons, 1e-3, 0);
    for (const [t, value] of weights.entries()) {
      model.net.parameters.fill(value);
      model.follow(t);
    }
    return model.average.parameters[5];
  },
  settings: () => settings,
  sinusoids: ({ t, width }) => t.map((one: number) => [...sinusoids(one, width)]),
  schedule: ({ steps }) => ({ alphaBar: [...alphaBar], times: steps.map(timeSteps) }),
  stepBack: ({ x, eps, t, s, eta, z }) => [...stepBack(f(x), f(eps), t, s, eta, f(z))],
  ideal: ({ density, x, t }) => [...idealNoise(DENSITIES[density as DensityName], f(x), t)],
  centres: ({ density }) => [...DENSITIES[density as DensityName].centres],
  draw: ({ density, n, seed }) => [...drawPoints(DENSITIES[density as DensityName], n, new Random(seed))],
  distances({ density, x, made }) {
    const within = meanDistance(f(x), f(x));
    return {
      energy: energyDistance(f(x), within, f(made)),
      ...quality(DENSITIES[density as DensityName], f(made)),
    };
  },
};

let text = "";
for await (const part of process.stdin) text += part;
const { ask, ...given } = JSON.parse(text);
console.log(JSON.stringify(ASKED[ask](given)));
