// The playgrounds: small networks of the plane that are trained in the page itself, without a kernel.
import { DIFFUSION_STATE, type DiffusionState, diffusionPlay } from "./diffusion-view.ts";
import { GAN_STATE, type GanState, ganPlay } from "./gan-view.ts";
import { type Model, show } from "./stage.ts";

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  let saving: ReturnType<typeof setTimeout> | undefined;
  const keep = (state: object) => () => {
    clearTimeout(saving);
    saving = setTimeout(() => {
      model.set("settings", { ...state });
      try {
        model.save_changes();
      } catch {
        // The kernel is gone: the page goes on.
      }
    }, 200);
  };
  const given = model.get("settings") as object;
  let stop: () => void;
  if (model.get("kind") === "gan") {
    const state: GanState = { ...GAN_STATE, ...given };
    stop = show(el, (redraw) => ganPlay(state, redraw, keep(state)));
  } else {
    const state: DiffusionState = { ...DIFFUSION_STATE, ...given };
    stop = show(el, (redraw) => diffusionPlay(state, redraw, keep(state)));
  }
  return () => {
    clearTimeout(saving);
    stop();
  };
}

export default { render };
