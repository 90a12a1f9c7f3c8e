"""Diffusion: noise schedules, the model and its losses, the samplers that run it backwards, what edits images; and
flow matching, its sister with straight paths.

Time steps are the paper's, t = 1 … T; t = 0 is the clean image. `alpha_bar[t]` is the share of the image's variance
that is left at t: x_t = √ᾱ_t x₀ + √(1 - ᾱ_t) ε. A flow's time goes from 0 to 1: x_t = (1 - t) x₀ + t ε.
"""

from course_utils.diffusion.distillation import distillation_loss
from course_utils.diffusion.editing import image_to_image, inpaint, super_resolve
from course_utils.diffusion.exact import IdealDenoiser
from course_utils.diffusion.flow import (
    FlowMatching,
    euler_sample,
    midpoint_sample,
    straight_alpha_bar,
    straight_time,
    velocity_to_x0_eps,
)
from course_utils.diffusion.guided import Step
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
    "DiffusionModel", "FlowMatching", "IdealDenoiser", "Prediction", "Schedule", "Step",
    "cosine_schedule", "ddim_sample", "ddpm_sample", "distillation_loss", "dpmpp_2m_sample", "euler_sample",
    "heun_sample", "image_to_image", "inpaint", "karras_time_steps", "linear_schedule", "loss_weight",
    "midpoint_sample", "posterior", "straight_alpha_bar", "straight_time", "super_resolve", "target", "time_steps",
    "to_x0_eps", "unet_diffusion", "velocity_to_x0_eps", "zero_terminal_snr",
]  # fmt: skip
