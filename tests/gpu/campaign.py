"""Part b: a small campaign on the first GPU, through the real command, with random weights.

    python -m tests.gpu.campaign --python PYTHON --architecture NAME --folder FOLDER --seconds N
    python -m tests.gpu.campaign --controls --folder FOLDER --seconds N

With --controls it measures what is missing of the same campaign, with the A/A and sampler-off
controls besides.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from llm_energy.validation.gpu_campaign import (
    SNAKEMAKE,
    Size,
    prepared,
    result_files,
    results_of,
)
from llm_energy.validation.kit_lines import Line, judged
from llm_energy.validation.kit_physics import physics_lines

NAME = "gpu-evidence"
MODEL = "random-weights"
FULL = Size(
    cycles=2,
    batch_sizes=(1, 8),
    output_tokens=32,
    minimum_duration_s=10.0,
    baseline_s=3.0,
    warmup_cap_s=3.0,
)
"""Shortened, for six minutes: such a warm-up shows only whether a drift was seen. The idle control
takes half of the baseline, and each half needs its samples."""

QUICK = Size(1, (1,), 8, minimum_duration_s=10.0, baseline_s=3.0, warmup_cap_s=2.0)

WORDS = Path("config/prompts/prose.txt")
MAKER = Path(__file__).parent / "random_model.py"
END_S = 20.0
"""Kept for the end of an interrupted run, which writes a report of what is there."""


def measure(python: str, architecture: str, folder: Path, size: Size, seconds: float) -> None:
    """Make the model, write the campaign's files, and measure."""
    end_s = time.monotonic() + seconds
    model = folder / f"{MODEL}-{architecture}"
    made = subprocess.run(
        [python, str(MAKER), architecture, str(model), str(WORDS)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        say(Line("FAIL", "model", last_line(made.stderr)))
        return
    found = json.loads(last_line(made.stdout))
    text = ", ".join(f"{key} {value}" for key, value in found.items() if key != "weights")
    say(Line("NOTE", "model", f"{found['weights']}, {text}"))
    campaign, line = prepared(
        NAME, python=python, model=str(model), size=size, log=folder / "inputs.log"
    )
    say(line)
    if campaign is None:
        return
    write(folder / "campaign.yaml", labelled(campaign))
    write(folder / "controls.yaml", {"controls": {"a_a": True, "idle": True, "sampler_off": True}})
    run([folder / "campaign.yaml"], folder / "campaign.log", seconds=end_s - time.monotonic())
    planned = size.cycles * len(size.batch_sizes)
    count = len(result_files(NAME))
    say(judged("measurements", count == planned, f"{count} of {planned}"))
    for line in physics_lines(results_of(NAME)):
        say(line)


def labelled(campaign: Mapping[str, Any]) -> dict[str, Any]:
    """The kit's campaign, whose model has a name that says that its weights are random."""
    (model,) = campaign["models"].values()
    return {
        **campaign,
        "models": {MODEL: model},
        "defaults": campaign["defaults"] | {"model": MODEL},
        "controls": {"idle": True},
    }


def measure_controls(folder: Path, seconds: float) -> None:
    """Measure the controls, and what else is missing."""
    files = [folder / "campaign.yaml", folder / "controls.yaml"]
    if not files[0].exists():
        say(Line("FAIL", "controls", "there is no campaign to control"))
        return
    before = len(result_files(NAME))
    run(files, folder / "controls.log", seconds=seconds, in_full=False)
    say(Line("NOTE", "controls", f"{len(result_files(NAME)) - before} more measurements"))
    for line in physics_lines(results_of(NAME)):
        say(line)


def run(files: list[Path], log: Path, *, seconds: float, in_full: bool = True) -> None:
    """Run the workflow, interrupt it when its time is over, and say how it ended.

    Args:
        in_full: an interruption is a failure; else as much is measured as time allows.
    """
    started_s = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*SNAKEMAKE, "--configfile", *map(str, files)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        in_time = True
        try:
            process.wait(timeout=max(1.0, seconds - END_S))
        except subprocess.TimeoutExpired:
            in_time = False
            interrupt(process)
        except KeyboardInterrupt:  # it has a session of its own, and would run on
            interrupt(process)
            raise
    took = f"after {time.monotonic() - started_s:.0f} s"
    text = f"exit code {process.returncode} {took}" if in_time else f"interrupted {took}"
    cut_as_planned = not in_time and not in_full
    if process.returncode and not cut_as_planned:
        shown = log.read_text(errors="replace").splitlines()[-15:]
        print(*shown, sep="\n", flush=True)
    text = f"{text}, output in {log.name}"
    say(
        Line("NOTE", "workflow ran", text)
        if cut_as_planned
        else judged("workflow ran", process.returncode == 0, text)
    )
    report = report_file()
    say(judged("report", report is not None, report.name if report else "none was written"))


def report_file() -> Path | None:
    """The report, or the one on what is there where measurements are missing."""
    candidates = [Path("results", NAME, f"{name}.html") for name in ("report", "report-partial")]
    return next((file for file in candidates if file.exists()), None)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """End a run as Ctrl-C does, and kill it if that takes too long."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=END_S - 2.0)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(yaml.safe_dump(dict(content), sort_keys=False))


def last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "nothing")


def say(line: Line) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python")
    parser.add_argument("--architecture")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--controls", action="store_true")
    given = parser.parse_args()
    if given.controls:
        measure_controls(given.folder, given.seconds)
    else:
        size = QUICK if given.quick else FULL
        measure(given.python, given.architecture, given.folder, size, given.seconds)


if __name__ == "__main__":
    main()
