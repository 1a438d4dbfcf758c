"""Parts of synthetic results. No number in here was measured."""

import math
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from llm_energy.inputs.environment import packages_sha256
from llm_energy.results.energy import DeviceEnergy, Energy
from llm_energy.results.parts import (
    Distribution,
    Environment,
    Latency,
    Phase,
    Warmup,
    Window,
)

NO_METER = Energy(
    energy_joules=None,
    reason="no_meter",
    method=None,
    scope=None,
    mean_power_watts=None,
    loaded_idle_power_watts=None,
    loaded_idle_standard_error_watts=None,
    energy_above_loaded_idle_joules=None,
    gain_limit_relative=None,
    offset_limit_watts=None,
    edge_uncertainty_joules=None,
    joules_per_output_token=None,
    joules_per_token=None,
    joules_per_request=None,
    output_tokens_per_joule=None,
    load_energy_joules=None,
    warmup_energy_joules=None,
    devices=[],
    simulated=False,
)
PACKAGES = {"synthetic": "1.0"}


def made_window(start: float, duration: float, began: datetime, waves: int) -> Window:
    opened = began + timedelta(seconds=6)
    return Window(
        start_monotonic_s=start + 6,
        end_monotonic_s=start + 6 + duration,
        start_wall=opened.isoformat(),
        end_wall=(opened + timedelta(seconds=duration)).isoformat(),
        duration_s=duration,
        waves=waves,
        passes=max(1, waves // 4),
    )


def made_phases(start: float, duration: float) -> list[Phase]:
    edges = [start, start + 1, start + 3, start + 6, start + 6 + duration, start + 7 + duration]
    names = ("load", "idle", "warmup", "window", "tail")
    return [
        Phase(name=name, start_monotonic_s=a, end_monotonic_s=b)
        for name, a, b in zip(names, edges[:-1], edges[1:], strict=True)
    ]


def made_latency(batch: int, length: int, throughput: float) -> Latency:
    gap = batch / throughput
    return Latency(
        time_to_first_token_s=_distribution(gap * 4, 12),
        inter_token_latency_s=_distribution(gap, 12 * length) if length > 1 else None,
        end_to_end_s=_distribution(gap * (length + 4), 12),
    )


def _distribution(centre: float, count: int) -> Distribution:
    factors: Sequence[float] = (1.02, 0.9, 1.0, 1.1, 1.2, 1.4, 1.5)
    mean, low, p50, p90, p95, p99, high = (centre * factor for factor in factors)
    return Distribution(
        count=count, mean=mean, minimum=low, p50=p50, p90=p90, p95=p95, p99=p99, maximum=high
    )


def made_warmup(throughput: float, capped: bool, chance: random.Random) -> Warmup:
    rise = (0.55, 0.82, 0.97, 1.0, 1.01, 0.99, 1.0)[: 5 if capped else 7]
    first_wave_s = 0.9 if capped else 1.1
    return Warmup(
        steady=not capped,
        capped=capped,
        verdict="not_steady" if capped else "steady",
        waves=len(rise),
        duration_s=3.0,
        first_wave_s=first_wave_s,
        throughput_tokens_per_second=[throughput * r * chance.gauss(1, 0.01) for r in rise],
        wave_ends_s=[first_wave_s + 0.3 * wave for wave in range(len(rise))],
        coefficient_of_variation=0.012,
        trend_interval=(-0.012, 0.009),
        bound=0.062 if capped else 0.015,
        time_constant_s=300.0,
    )


def made_energy(
    tokens: int, duration: float, batch: int, length: int, chance: random.Random
) -> Energy:
    power = 60.0 + 15.0 * math.log2(2 * batch) + chance.gauss(0, 0.5)
    joules, idle = power * duration, 52.0
    prompt_tokens = 40 * tokens // length
    return Energy(
        energy_joules=joules,
        reason=None,
        method="counter",
        scope="gpu_board",
        mean_power_watts=power,
        loaded_idle_power_watts=idle,
        loaded_idle_standard_error_watts=0.2,
        energy_above_loaded_idle_joules=joules - idle * duration,
        gain_limit_relative=0.05,
        offset_limit_watts=5.0,
        edge_uncertainty_joules=0.0,
        joules_per_output_token=joules / tokens,
        joules_per_token=joules / (tokens + prompt_tokens),
        joules_per_request=joules / (tokens // length),
        output_tokens_per_joule=tokens / joules,
        load_energy_joules=300.0,
        warmup_energy_joules=200.0,
        devices=[
            DeviceEnergy(
                device="GPU-synthetic",
                scope="gpu_board",
                energy_joules=joules,
                reason=None,
                counter_joules=joules,
                integrated_instant_joules=joules * 1.01,
                integrated_average_joules=None,
            )
        ],
        simulated=True,
    )


def made_environment(device_model: str, power_limit_watts: float | None) -> Environment:
    return Environment(
        session_id="synthetic-session",
        run_id="synthetic-run",
        host="synthetic-host",
        cpu_model="Synthetic CPU",
        kernel="6.1.0-synthetic",
        device_model=device_model,
        device_uuids=[],
        power_limit_watts=power_limit_watts,
        driver=None,
        runtime="process",
        environment_hash="1" * 64,
        image_digest=None,
        python_version="3.11.7",
        engine_version="0.0-synthetic",
        packages_sha256=packages_sha256(PACKAGES),
        model_sha256="3" * 64,
        code_digest="4" * 64,
        git_commit="5" * 40,
        git_dirty=False,
    )
