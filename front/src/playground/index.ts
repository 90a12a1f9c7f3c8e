// The playgrounds: small networks of the plane that are trained in the page itself, without a kernel.
import { makeSaver } from "../house/saving.ts";
import { makeSharing } from "../house/sharing.ts";
import { diffusionPlay } from "./diffusion-view.ts";
import { ganPlay } from "./gan-view.ts";
import * as settings from "./settings.ts";
import { type Model, type Play, show } from "./stage.ts";

/** A playground: its knobs, where they stand at first, and what they play. */
interface Kind<S extends object> {
  knobs: settings.Knobs<S>;
  first: S;
  play(state: S, redraw: (fresh: boolean) => void, save: () => void): Play;
}

const GAN: Kind<settings.GanState> = {
  knobs: settings.GAN_KNOBS,
  first: settings.GAN_FIRST,
  play: ganPlay,
};
const DIFFUSION: Kind<settings.DiffusionState> = {
  knobs: settings.DIFFUSION_KNOBS,
  first: settings.DIFFUSION_FIRST,
  play: diffusionPlay,
};

function begin<S extends object>({ knobs, first, play }: Kind<S>, model: Model, el: HTMLElement): () => void {
  let state: S = { ...first, ...(model.get("settings") as Partial<S>) };
  let stop: (() => void) | undefined;
  const saver = makeSaver(model, 200);
  function save() {
    model.set("settings", { ...state });
    saver.soon();
  }
  function open() {
    stop?.();
    stop = show(el, String(model.get("title")), sharing.link, (redraw) => play(state, redraw, save));
  }
  const sharing = makeSharing(
    el,
    "these settings",
    () => settings.write(state),
    (values) => {
      const shared = settings.read(values, knobs);
      if (!shared) return false;
      state = shared;
      save();
      open(); // another run, as for a reader who opens the page with this address
      return true;
    },
  );
  if (!sharing.follow()) open();
  return () => {
    sharing.stop();
    saver.stop();
    stop?.();
  };
}

const render = ({ model, el }: { model: Model; el: HTMLElement }): (() => void) =>
  model.get("kind") === "gan" ? begin(GAN, model, el) : begin(DIFFUSION, model, el);

export default { render };
