"""The same window read by our sampler and by nvidia-smi, which runs where the engine runs.

The measurement is one like any other, of which no result is kept; nvidia-smi runs beside it, by
exec in the backend's container, or as a process of this host. Both read the same sensors over the
same load, so that what differs is the way of reading.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from llm_energy.backends import running
from llm_energy.backends.running import runtime_named
from llm_energy.backends.runtime import BackendRecord, Runtime
from llm_energy.measurement.attempts import begin
from llm_energy.measurement.job import ExperimentRecord, Job, Observation
from llm_energy.measurement.measurement import measure
from llm_energy.power.series import Series
from llm_energy.power.series_file import write_series
from llm_energy.runs.run import Run, utc_now
from llm_energy.runs.run_parts import run_of_block
from llm_energy.system.files import write_atomically
from llm_energy.system.scripting import UserError
from llm_energy.system.vocabulary import ATTACHED, DOCKER, PROCESS
from llm_energy.validation import nvidia_smi_output
from llm_energy.validation.nvidia_smi_beside import Beside, run_once
from llm_energy.validation.nvidia_smi_output import NvidiaSmiError
from llm_energy.validation.two_readings import compare

WHERE = {ATTACHED: "container", DOCKER: "container", PROCESS: "host"}
CLOCK_STEP_S = 0.01
"""A wall clock that moved more than this against CLOCK_MONOTONIC was set meanwhile."""


def calibrate(spec_hash: str) -> tuple[Path, dict[str, Any]]:
    """Load the experiment's engine, read its window both ways, and write the comparison.

    Returns:
        The file that was written and its content.

    Raises:
        NvidiaSmiError: the tool does not work where the engine runs.
        BackendError, InputError: the measurement failed.
        UserError: the run was not opened.
    """
    whole = Run.current()
    if whole is None:
        raise UserError("start it through the workflow, without --no-hooks")
    run = run_of_block(whole, 1) or whole
    record = whole.read(f"experiments/{spec_hash}", ExperimentRecord)
    # Cycle 0 is in no campaign: the engine process is this job's own.
    job = Job(record, cycle=0, position=0, attempt=1, result_path="")
    backend = running.ensure_backend(run, job.backend)
    runtime = runtime_named(backend.runtime)
    single_call_s = try_once(runtime, backend)
    started, offsets_s = utc_now(), [nvidia_smi_output.clock_offset()]
    rate_hz = record.sampling_hz
    command = nvidia_smi_output.command(period_s=1.0 / rate_hz)
    seen = begin(job, run)
    with Beside(partial(runtime.execute, backend), command) as beside:
        measure(job, run, seen, show=lambda _phase: None)
    offsets_s.append(nvidia_smi_output.clock_offset())
    if abs(offsets_s[1] - offsets_s[0]) > CLOCK_STEP_S:
        raise UserError("the wall clock was set meanwhile, by which nvidia-smi stamps; try again")
    found = {
        "campaign": record.campaign,
        "experiment": record.name,
        "run_id": run.run_id,
        "session_id": run.record.session_id,
        "started": started,
        "backend": backend.name,
        "runtime": DOCKER if backend.runtime == ATTACHED else backend.runtime,
        "nvidia_smi_ran_in": WHERE[backend.runtime],
        "requested_hz": rate_hz,
        "wall_less_monotonic_s": offsets_s,
        **results_of(seen, beside, offset_s=sum(offsets_s) / 2),
    }
    found["cost"]["nvidia_smi"]["single_call_s"] = single_call_s
    return keep(found, seen, beside, run.results), found


def try_once(runtime: Runtime, record: BackendRecord) -> float:
    """Time a single call where the engine runs, in s.

    Raises:
        NvidiaSmiError: it does not work there.
    """
    lines, duration_s = run_once(partial(runtime.execute, record), nvidia_smi_output.command())
    try:
        readings = nvidia_smi_output.parse(lines, offset_s=0.0)
    except NvidiaSmiError as error:
        remedy = "it comes with the NVIDIA driver"
        if WHERE[record.runtime] == "container":
            remedy = "the NVIDIA container toolkit brings it where NVIDIA_DRIVER_CAPABILITIES has "
            remedy += "`utility`"
        place = f"the {WHERE[record.runtime]} where backend `{record.name}` runs"
        raise NvidiaSmiError(f"nvidia-smi does not work in {place}: {error}; {remedy}") from error
    if not readings:
        raise NvidiaSmiError("nvidia-smi shows no GPU")
    return duration_s


def results_of(seen: Observation, beside: Beside, *, offset_s: float) -> dict[str, Any]:
    """Compare both ways over the window, with what each costs."""
    if seen.measured is None or seen.series is None:
        raise UserError(f"there is no window to compare: {seen.out_of_memory}")
    window = seen.measured["window"]
    start_s, end_s = window["start"], window["end"]
    readings = nvidia_smi_output.parse([line for _, line in beside.lines], offset_s=offset_s)
    theirs = replace(seen.series, readings=tuple(readings))
    span = {"start_s": start_s, "end_s": end_s}
    return {
        "window": {
            "start_monotonic_s": start_s,
            "end_monotonic_s": end_s,
            "duration_s": end_s - start_s,
        },
        "devices": compare(seen.series, theirs, **span),
        "cost": {
            "nvml": sampler_cost(seen.series, beside, **span),
            "nvidia_smi": nvidia_smi_cost(beside, offset_s=offset_s),
        },
    }


def sampler_cost(
    series: Series, beside: Beside, *, start_s: float, end_s: float
) -> dict[str, float | None]:
    """Cost of our sampler in the window: median time to read one GPU, CPU time per second."""
    uuids = {device.id for device in series.devices if device.scope == "gpu_board"}
    readings = [r for r in series.readings if r.device in uuids]
    took_s = sorted(r.read_s for r in readings if start_s <= r.monotonic_s <= end_s)
    inside = [point for point in beside.sampler_cpu_s if start_s <= point[0] <= end_s]
    share = None
    if len(inside) > 1:
        (first_s, first_cpu_s), (last_s, last_cpu_s) = inside[0], inside[-1]
        share = (last_cpu_s - first_cpu_s) / (last_s - first_s)
    return {
        "reading_s": took_s[len(took_s) // 2] if took_s else None,
        "cpu_share_of_a_core": share,
    }


def nvidia_smi_cost(beside: Beside, *, offset_s: float) -> dict[str, float | None]:
    """Cost of nvidia-smi with its start: CPU time per second and row, delay of its lines."""
    late = sorted(
        arrived_s - reading.monotonic_s
        for arrived_s, line in beside.lines
        if (reading := nvidia_smi_output.parse_row(line, offset_s=offset_s)) is not None
    )
    return {
        "cpu_share_of_a_core": per(beside.command_cpu_s, beside.lasted_s),
        "cpu_s_per_row": per(beside.command_cpu_s, len(late)),
        "reader_cpu_share_of_a_core": per(beside.reader_cpu_s, beside.lasted_s),
        "line_delay_s": late[len(late) // 2] if late else None,
    }


def per(amount: float | None, count: float | None) -> float | None:
    """amount / count; None where one is not known, or count is 0."""
    return amount / count if amount is not None and count else None


def keep(found: Mapping[str, Any], seen: Observation, beside: Beside, results: Path) -> Path:
    """Write the comparison, and all that was read in both ways, under a name of their own."""
    name = f"nvidia-smi-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    folder = results / "calibration"
    assert seen.series is not None
    identity = {key: found[key] for key in ("campaign", "experiment", "run_id")}
    write_series(folder, f"{name}.parquet", seen.series, identity=identity)
    lines = "".join(f"{line}\n" for _, line in beside.lines)
    write_atomically(folder / f"{name}.csv", lines.encode())
    path = folder / f"{name}.json"
    write_atomically(path, json.dumps(found, indent=1).encode() + b"\n")
    return path


def as_text(found: Mapping[str, Any]) -> Iterator[str]:
    """The comparison in a few lines."""
    window_s = found["window"]["duration_s"]
    yield (
        f"{found['experiment']}: window of {window_s:.1f} s read by NVML on the host and by "
        f"nvidia-smi in the {found['nvidia_smi_ran_in']}, both at {found['requested_hz']:g} Hz"
    )
    for device in found["devices"]:
        name = f"{device['device']}{' (simulated)' * device['simulated']}"
        for field, both in device["quantities"].items():
            ways = ", ".join(f"{way} {_energy(both[way])}" for way in ("nvml", "nvidia_smi"))
            apart = both["relative_difference"]
            yield f"{name}: {field}: {ways}" + ("" if apart is None else f", {apart:+.3%}")
    if not found["devices"]:
        yield "no GPU was seen both ways: nvidia-smi shows others than NVML"
    cost = found["cost"]
    yield f"cost of nvml: {_cost(cost['nvml'])}"
    yield f"cost of nvidia_smi: {_cost(cost['nvidia_smi'])}"


def _energy(reading: Mapping[str, Any]) -> str:
    if reading["energy_joules"] is None:
        return f"none ({reading['reason']})"
    rate = reading["delivered_hz"]
    delivered = "" if rate is None else f" at {rate:.2f} Hz"
    return f"{reading['energy_joules']:.1f} J{delivered}"


WORDS = {
    "reading_s": "a reading {:.2g} s",
    "cpu_share_of_a_core": "CPU {:.2%} of a core",
    "reader_cpu_share_of_a_core": "its reader {:.2%}",
    "cpu_s_per_row": "CPU {:.2g} s a row",
    "line_delay_s": "a line comes {:.2g} s after its stamp",
    "single_call_s": "a call of its own takes {:.2g} s",
}


def _cost(cost: Mapping[str, float | None]) -> str:
    return ", ".join(
        WORDS[key].format(value) if value is not None else f"{key} unknown"
        for key, value in cost.items()
    )
