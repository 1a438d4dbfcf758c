"""A small real campaign on the GPU: made, measured by the real command, and read back."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from llm_energy.campaign.declared_inputs import HubSource, PathSource
from llm_energy.campaign.lock_file import Lock, source_key
from llm_energy.inputs.environment import describe, own_interpreter
from llm_energy.inputs.pin import updated
from llm_energy.power.series import Series
from llm_energy.power.series_file import read_series
from llm_energy.results.layout import files
from llm_energy.results.result import Result, ResultError, read_result
from llm_energy.system.errors import InputError
from llm_energy.system.files import write_atomically
from llm_energy.validation.kit_lines import Line, judged

BACKEND = "pytorch"
SNAKEMAKE = [str(Path(sys.executable).parent / "snakemake"), "--cores", "1"]
SNAKEMAKE += ["--profile", "workflow-profile"]
LAST_LINES = 15
"""Number of lines of the workflow's output that are shown where it fails."""


@dataclass(frozen=True)
class Size:
    """How much the campaign measures."""

    cycles: int = 2
    batch_sizes: tuple[int, ...] = (1, 8)
    output_tokens: int = 128
    minimum_duration_s: float = 20.0
    baseline_s: float = 10.0
    warmup_cap_s: float = 90.0


QUICK = Size(1, (1,), 8, minimum_duration_s=10.0, baseline_s=3.0, warmup_cap_s=2.0)


def source_of(model: str) -> HubSource | PathSource:
    """A folder of this machine if there is one of that name, else a repository of the hub."""
    if Path(model).exists() or model.startswith(("/", ".")):
        return PathSource(path=str(Path(model).absolute()))
    return HubSource(hub=model)


def prepared(
    name: str, *, python: str, model: str, size: Size, log: Path
) -> tuple[Mapping[str, Any] | None, Line]:
    """The campaign's configuration, with interpreter and model pinned as they are now, and the
    line about them; None where the interpreter lacks torch or transformers, or without the model.
    """
    source, interpreter = source_of(model), str(Path(python).absolute())
    try:
        describe(own_interpreter(interpreter, BACKEND), BACKEND, log=log)  # it loads the engine
        lock = updated(
            Lock(),
            sources=[source],
            interpreters={BACKEND: interpreter},
            log=log,
            report=lambda _: None,
        )
    except InputError as error:
        return None, Line("FAIL", "interpreter and model", str(error))
    pin = lock.models[source_key(source)].model_dump(include={"revision", "sha256"})
    pinned = source.model_dump(exclude_none=True)
    pinned |= {key: value for key, value in pin.items() if value is not None}
    packages = lock.environments[BACKEND].packages_sha256
    campaign = {
        "campaign": name,
        "seed": 1,
        "cycles": size.cycles,
        "backends": {
            BACKEND: {"environment": {"python": interpreter, "packages_sha256": packages}},
        },
        "models": {"tried": {"source": pinned}},
        "prompts": {"prose": {"synthetic": {"input_tokens": 128, "count": 8}, "seed": 1}},
        "measurement": {
            "device": "gpu",
            "minimum_duration_s": size.minimum_duration_s,
            "baseline_s": size.baseline_s,
            "warmup_cap_s": size.warmup_cap_s,
        },
        "defaults": {
            "backend": BACKEND,
            "model": "tried",
            "prompts": "prose",
            "output_tokens": size.output_tokens,
            "context_tokens": 512,
            "engine": {BACKEND: {"device": "cuda"}},
        },
        "experiments": {"acceptance": {"axes": {"batch_size": list(size.batch_sizes)}}},
    }
    text = f"torch and transformers in {python}, {pinned}"
    return campaign, Line("PASS", "interpreter and model", text)


def run_campaign(campaign: Mapping[str, Any], folder: Path) -> Iterator[Line]:
    """Measure it through the real command; the lines say how that ended.

    Args:
        folder: gets the campaign's file and the workflow's output.
    """
    file, log = folder / "campaign.yaml", folder / "snakemake.log"
    write_atomically(file, yaml.safe_dump(dict(campaign), sort_keys=False).encode())
    with log.open("wb") as output:
        done = subprocess.run(
            [*SNAKEMAKE, "--configfile", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    last = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    text = f"exit code {done.returncode}, output in {log}"
    if done.returncode:
        text = "\n      ".join([text, *last])
    yield judged("workflow ran", done.returncode == 0, text)
    report = Path("results", campaign["campaign"], "report.html")
    yield judged("report", report.exists(), str(report) if report.exists() else "none was written")
    planned = campaign["cycles"] * len(campaign["experiments"]["acceptance"]["axes"]["batch_size"])
    found = len(result_files(campaign["campaign"]))
    yield judged("measurements", found == planned, f"{found} of {planned}")


def result_files(campaign: str) -> list[Path]:
    return list(files(Path("results", campaign), "measurements"))


def results_of(campaign: str) -> list[tuple[Result, Series | None]]:
    """Every result that can be read, in the order of measuring, with its power series."""
    found = []
    for path in result_files(campaign):
        try:
            result = read_result(path)
        except ResultError:
            continue  # missing in the count of the checks
        side = result.side_files.get("series")
        series = read_series(Path("results", campaign, side.path)) if side else None
        found.append((result, series))
    return sorted(found, key=lambda pair: pair[0].position)
