"""Waves with a known course, and what the warm-up says of them."""

import math
import random
from collections.abc import Callable
from typing import Any

from worker.courses import Wave
from worker.steady import (
    Verdict,
    bound_ahead,
    judge,
)
from worker.workload import WarmupRules

ON_A_GPU = WarmupRules(cap_s=180.0, first_wave_deadline_s=900.0, bound=0.01)
ON_A_CPU = WarmupRules(cap_s=5.0, first_wave_deadline_s=900.0, bound=0.01)


def approach(share: float, tau_s: float) -> Callable[[float], float]:
    return lambda time_s: -share * math.exp(-time_s / tau_s)


def waves_over(
    span_s: float,
    *,
    level: Callable[[float], float] = lambda _: 0.0,
    noise: float = 0.0,
    wave_s: float = 0.5,
    seed: int = 0,
) -> list[Wave]:
    """Return waves over `span_s` whose level is relative to the steady one."""
    draw = random.Random(seed)
    starts = [i * wave_s for i in range(round(span_s / wave_s))]
    rates = [1.0 + level(start + wave_s / 2.0) + draw.gauss(0.0, noise) for start in starts]
    return [Wave(t, t + wave_s, r * wave_s) for t, r in zip(starts, rates, strict=True)]


def ahead(
    span_s: float, *, window_s: float = 30.0, rules: WarmupRules = ON_A_GPU, **changes: Any
) -> float | None:
    return bound_ahead(waves_over(span_s, **changes), window_s=window_s, rules=rules)


def judged(
    span_s: float = 180.0, *, window_s: float = 30.0, cap_s: float = 180.0, **changes: Any
) -> Verdict:
    """Judge a window after a warm-up of `span_s`."""
    waves = waves_over(span_s + window_s, **changes)
    return judge(waves, window=(span_s, span_s + window_s), cap_s=cap_s)
