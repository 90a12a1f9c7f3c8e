"""Distillation: a student that takes several of its teacher's steps in one."""

from __future__ import annotations

import torch
from torch import Tensor

from course_utils.diffusion.model import DiffusionModel
from course_utils.diffusion.samplers import time_steps
from course_utils.inputs import check_at_least, noise_like


def distillation_loss(
    student: DiffusionModel,
    teacher: DiffusionModel,
    x: Tensor,
    y: Tensor | None = None,
    *,
    substeps: int = 2,
    guidance: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One step of the student ought to lead where `substeps` DDIM steps of the teacher lead; a mean squared error.

    The student will be used with `student.steps` steps and guidance 1, and learns their times only: from x_t the
    teacher goes to x_s, under guidance. The clean image that would take the student there in one step is

        x̃₀ = (x_s - √((1 - ᾱ_s) / (1 - ᾱ_t)) x_t) / (√ᾱ_s - √((1 - ᾱ_s) / (1 - ᾱ_t)) √ᾱ_t)

    Its error counts SNR + 1 times, as in the loss of v. Labels are left out at the student's rate `p_uncond`;
    without a label there is no guidance.

    The teacher's clean images are those of its samplers, within [-1, 1] if its `clip_x0` says so.

    x: images (N, C, H, W); y: labels int64 (N,).
    Source: Salimans and Ho, "Progressive distillation for fast sampling of diffusion models", 2022, algorithm 2;
    guidance as in Meng et al., "On distillation of guided diffusion models", 2023.
    """
    check_at_least(1, substeps=substeps)
    if substeps * student.steps > student.schedule.T:
        raise ValueError(
            f"substeps={substeps} of each of the student's {student.steps} steps are more than its schedule's "
            f"T = {student.schedule.T}; take fewer"
        )
    if not student.schedule.agrees(teacher.schedule.alpha_bar):
        raise ValueError(
            f"student and teacher have different schedules: {student.schedule} and {teacher.schedule}; "
            "make the student with the teacher's"
        )
    if student.num_classes != teacher.num_classes:
        raise ValueError(
            f"student and teacher know {student.num_classes} and {teacher.num_classes} classes; "
            "they must know the same"
        )
    x = student.check_data(x)
    student.check_condition(None if student.num_classes is None else y, len(x))
    n, device = len(x), x.device
    times = torch.tensor(time_steps(student.schedule.T, student.steps), device=device)
    step = torch.randint(student.steps, (n,), generator=generator, device=device)
    t, s = times[step], times[step + 1]
    y = student.drop_condition(y, generator)
    if y is None:
        guidance = 1.0
    teacher.check_guidance(y, guidance)
    x_t = student.q_sample(x, t, noise_like(x, generator))
    with torch.no_grad():
        x_s = x_t
        for k in range(substeps):
            now, then = (t + (s - t) * j // substeps for j in (k, k + 1))
            seen = teacher.clipped(teacher.known_predict(x_s, now, y, guidance), x_s, now)
            signal, noise = teacher.schedule.known_signal_noise(then, x)
            x_s = signal * seen.x0 + noise * seen.eps
        signal_t, noise_t = student.schedule.known_signal_noise(t, x)
        signal_s, noise_s = student.schedule.known_signal_noise(s, x)
        ratio = noise_s / noise_t
        x0 = (x_s - ratio * x_t) / (signal_s - ratio * signal_t)
    error = (student.known_predict(x_t, t, y).x0 - x0).square()
    return (error / noise_t.square()).mean()
