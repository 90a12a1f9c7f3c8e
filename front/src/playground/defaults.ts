// Where both playgrounds open.
import type { GanSettings } from "./gan.ts";

export const GAN_DEFAULTS: GanSettings = {
  lrD: 1e-3,
  lrG: 1e-3,
  turnsD: 1,
  turnsG: 1,
  r1: 1,
  loss: "non-saturating",
};

export const DIFFUSION_LR = 5e-3;
