"""Diffusion: noise schedules, the model and its losses, the samplers that run it backwards, what edits images.

Time steps are the paper's, t = 1 … T; t = 0 is the clean image. `alpha_bar[t]` is the share of the image's variance
that is left at t: x_t = √ᾱ_t x₀ + √(1 - ᾱ_t) ε.
"""

from course_utils.diffusion.distillation import distillation_loss
from course_utils.diffusion.editing import image_to_image, inpaint, super_resolve
from course_utils.diffusion.exact import IdealDenoiser
from course_utils.diffusion.model import DiffusionModel, unet_diffusion
from course_utils.diffusion.process import (
    PREDICTION_TYPES,
    VARIANCES,
    WEIGHTINGS,
    Prediction,
    loss_weight,
    posterior,
    target,
    to_x0_eps,
)
from course_utils.diffusion.samplers import (
    SAMPLERS,
    Step,
    ddim_sample,
    ddpm_sample,
    dpmpp_2m_sample,
    heun_sample,
    karras_time_steps,
    time_steps,
)
from course_utils.diffusion.schedule import Schedule, cosine_schedule, linear_schedule, zero_terminal_snr

__all__ = [
    "PREDICTION_TYPES", "SAMPLERS", "VARIANCES", "WEIGHTINGS",
    "DiffusionModel", "IdealDenoiser", "Prediction", "Schedule", "Step",
    "cosine_schedule", "ddim_sample", "ddpm_sample", "distillation_loss", "dpmpp_2m_sample", "heun_sample",
    "image_to_image", "inpaint", "karras_time_steps", "linear_schedule", "loss_weight", "posterior",
    "super_resolve", "target", "time_steps", "to_x0_eps", "unet_diffusion", "zero_terminal_snr",
]  # fmt: skip
