// The playgrounds: small networks of the plane that are trained in the page itself, without a kernel.
import { makeSaver } from "../house/saving.ts";
import { DIFFUSION_STATE, type DiffusionState, diffusionPlay } from "./diffusion-view.ts";
import { GAN_STATE, type GanState, ganPlay } from "./gan-view.ts";
import { type Model, show } from "./stage.ts";

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const saver = makeSaver(model, 200);
  const keep = (state: object) => () => {
    model.set("settings", { ...state });
    saver.soon();
  };
  const given = model.get("settings") as object;
  const title = String(model.get("title"));
  let stop: () => void;
  if (model.get("kind") === "gan") {
    const state: GanState = { ...GAN_STATE, ...given };
    stop = show(el, title, (redraw) => ganPlay(state, redraw, keep(state)));
  } else {
    const state: DiffusionState = { ...DIFFUSION_STATE, ...given };
    stop = show(el, title, (redraw) => diffusionPlay(state, redraw, keep(state)));
  }
  return () => {
    saver.stop();
    stop();
  };
}

export default { render };
