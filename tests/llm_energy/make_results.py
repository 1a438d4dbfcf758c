"""Synthetic results for tests of what comes after measuring. No number in here was measured.

The values follow a made-up law (throughput grows with batch size, drifts a little, scatters by
1 %), so that tables, figures and the page have something realistic to show. Host, device and
model say `synthetic`, and energies are marked as simulated.
"""

import json
import math
import random
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.llm_energy import make_side_files
from tests.llm_energy.make_result_parts import (
    NO_METER,
    PACKAGES,
    made_energy,
    made_environment,
    made_latency,
    made_phases,
    made_warmup,
    made_window,
)

from llm_energy.analysis.design import Design
from llm_energy.analysis.record_checks import named_records
from llm_energy.inputs.environment import package_list
from llm_energy.results.layout import REPLICATE, REPLICATE_NAME, result_path
from llm_energy.results.parts import (
    Distribution,
    Drift,
    Flag,
    ProcessState,
    PromptSet,
    SampleOutput,
    Settings,
    Tokens,
)
from llm_energy.results.result import SCHEMA_VERSION, Result, result_file
from llm_energy.system.files import sha256_of, write_atomically

SETTINGS = {
    "backend": "llamacpp",
    "model": "synthetic-135m",
    "prompts": "everyday",
    "batch_size": 1,
    "output_tokens": 16,
    "context_tokens": 512,
    "dtype": "auto",
    "load_mode": "waves",
    "sampling": {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "seed": 0},
    "engine_options": {"threads": 1},
}
MEASUREMENT = {
    "minimum_duration_s": 3.0,
    "baseline_s": 2.0,
    "warmup_cap_s": 5.0,
    "first_wave_deadline_s": 900.0,
    "load_deadline_s": 900.0,
    "tail_s": 1.0,
    "sampling_hz": 10.0,
}
EXPERIMENTS: dict[str, dict[str, Any]] = {
    f"batch-by-length_batch{batch}_out{length}": {"batch_size": batch, "output_tokens": length}
    for batch in (1, 4)
    for length in (16, 48)
}
REFERENCE = "batch-by-length_batch1_out16"


MODEL = {"path": "synthetic", "format": "gguf"}
PROMPTS = [[token] * length for token, length in enumerate((41, 42, 41, 42))]
"""Token ids."""


def design(**changes: Any) -> Design:
    plain: dict[str, Any] = {
        "name": "synthetic",
        "cycles": 3,
        "order": "randomised_blocks",
        "seed": 2026,
        "isolation": "cycle",
        "reference": REFERENCE,
    }
    return Design(**(plain | changes))


def specification(name: str, resolved: Mapping[str, Any], protocol: int = 1) -> dict[str, Any]:
    """Return what identifies an experiment; the name matters to an A/A control alone."""
    spec = {"protocol": protocol, "settings": resolved, "measurement": MEASUREMENT, "model": MODEL}
    return spec | (REPLICATE if name.endswith(REPLICATE_NAME) else {})


def names_of(experiments: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Hash of the spec -> name, as a design has them."""
    return {
        sha256_of(specification(name, SETTINGS | dict(settings)))[:12]: name
        for name, settings in experiments.items()
    }


def make_result(
    experiment: str = REFERENCE,
    *,
    cycle: int = 1,
    position: int = 0,
    settings: Mapping[str, Any] = {},
    metered: bool = False,
    out_of_memory: bool = False,
    capped: bool = False,
    device_model: str = "Synthetic CPU",
    power_limit_watts: float | None = None,
    protocol: int = 1,
    **changes: Any,
) -> Result:
    """One result; `changes` replaces whole fields of it."""
    resolved = SETTINGS | dict(settings)
    spec = specification(experiment, resolved, protocol)
    chance = random.Random(f"{experiment} {cycle}")
    batch, length = resolved["batch_size"], resolved["output_tokens"]
    slowing = max(0.5, 1 - 0.0005 * position)
    throughput = 40 * batch**0.6 / (1 + 2 / length) * chance.gauss(slowing, 0.01)
    duration = math.ceil(3.2 * throughput / (batch * length)) * batch * length / throughput
    tokens = round(duration * throughput)
    start = 1_000.0 + 12.0 * position
    began = datetime(2026, 11, 24, 9, 0, tzinfo=UTC) + timedelta(seconds=12 * position)
    energy = made_energy(tokens, duration, batch, length, chance) if metered else NO_METER
    fields: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "protocol_version": protocol,
        "status": "completed",
        "campaign": "synthetic",
        "experiment": experiment,
        "cycle": cycle,
        "position": position,
        "started": began.isoformat(),
        "finished": (began + timedelta(seconds=11)).isoformat(),
        "attempt": 1,
        "spec_hash": sha256_of(spec)[:12],
        "spec": spec,
        "settings": Settings(declared=dict(settings), resolved=resolved, observed={"threads": 1}),
        "prompts": PromptSet(
            name=resolved["prompts"],
            sha256=sha256_of(PROMPTS),
            count=len(PROMPTS),
            mean_input_tokens=41.5,
        ),
        "load_mode": "waves",
        "phases": made_phases(start, duration),
        "environment": made_environment(device_model, power_limit_watts),
        "process": ProcessState(
            engine_reused=position % 4 != 0,
            engine_age_s=30.0,
            engine_jobs=position % 4,
            supervisor_age_s=start,
            supervisor_jobs=position,
        ),
        "window": made_window(start, duration, began, tokens // (batch * length)),
        "tokens": Tokens(input=40 * tokens // length, output=tokens, requests=tokens // length),
        "output_tokens_per_second": throughput,
        "requests_per_second": throughput / length,
        "latency": made_latency(batch, length, throughput),
        "warmup": made_warmup(throughput, capped, chance),
        "drift": Drift(
            throughput_relative=chance.gauss(0, 0.005),
            power_relative=None,
            throughput_scatter_limit=0.02,
        ),
        "energy": energy,
        "flags": [Flag(code="warmup_capped", message="5 waves")] * (capped and protocol < 3),
        "sample_outputs": [SampleOutput(prompt_index=0, output_ids=[1, 2, 3])],
        "side_files": {},
        "message": None,
    }
    if out_of_memory:
        unmeasured = ("window", "tokens", "latency", "warmup", "drift", "process")
        unmeasured += ("output_tokens_per_second", "requests_per_second")
        fields |= dict.fromkeys(unmeasured) | {"status": "out_of_memory", "sample_outputs": []}
        fields |= {"message": "failed to allocate 9 GiB", "energy": NO_METER, "flags": []}
    return Result(**(fields | changes))


def put_result(path: Path, result: Result) -> None:
    """Write a result, in place of another one too."""
    write_atomically(path, result_file(result))


def put_records(folder: Path, result: Result) -> None:
    """Write the records that a result refers to, into its campaign's folder."""
    values = {
        "run_id": result.environment.run_id,
        "session_id": result.environment.session_id,
        "name": result.settings.resolved["model"],
        "sha256": result.environment.model_sha256,
        "token_ids": PROMPTS,
    }
    for name, keys in named_records(result).items():
        more = {"name"} if "files" in keys else set()
        record = {key: values.get(key, []) for key in keys | more}
        content = json.dumps(record).encode() if keys else package_list(PACKAGES)
        write_atomically(folder / name, content)


def path_of(result: Result) -> str:
    """Where a result lies, relative to its campaign's folder."""
    return result_path(result.spec_hash, result.cycle)


def make_campaign(
    folder: Path,
    *,
    experiments: Mapping[str, Mapping[str, Any]] = EXPERIMENTS,
    cycles: int = 3,
    missing: Collection[tuple[str, int]] = (),
    out_of_memory: Collection[str | tuple[str, int]] = (),
    capped: Collection[tuple[str, int]] = (),
    side_files: bool = False,
    **common: Any,
) -> list[str]:
    """Write a campaign of randomised blocks into `folder`; returns every planned path in order.

    Args:
        missing, capped: (experiment, cycle) pairs.
        out_of_memory: such pairs, or names of experiments that have no other outcome.
        side_files: whether requests and, where metered, power lie beside the results.
        common: goes to every `make_result`.
    """
    planned, chance = [], random.Random(2026)
    for cycle in range(1, cycles + 1):
        for name in chance.sample(list(experiments), len(experiments)):
            result = make_result(
                name,
                cycle=cycle,
                position=len(planned),
                settings=experiments[name],
                out_of_memory=name in out_of_memory or (name, cycle) in out_of_memory,
                capped=(name, cycle) in capped,
                **common,
            )
            planned.append(path_of(result))
            if side_files:
                result = make_side_files.with_side_files(folder, result)
            if (name, cycle) not in missing:
                put_result(folder / planned[-1], result)
    assert len(set(planned)) == len(planned), "two experiments have one specification"
    return planned


def scattered(result: Result, factor: float) -> Result:
    """The result with latencies `factor` times as long."""
    assert result.latency is not None
    stretched = {
        name: Distribution(
            **{key: v if key == "count" else factor * v for key, v in distribution.items()}
        )
        for name, distribution in result.latency.model_dump().items()
        if distribution is not None
    }
    return result.model_copy(update={"latency": result.latency.model_copy(update=stretched)})
