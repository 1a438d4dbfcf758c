"""Run the parts one after the other, each within its time, and keep their lines.

    python -m tests.gpu.evidence --python PYTHON --architecture NAME --out FOLDER --seconds N

Runs in a copy of the tree. A part that fails or takes too long is a line; the next one follows.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from llm_energy.validation.gpu_campaign import SNAKEMAKE
from llm_energy.validation.kit_lines import Line, Verdict, judged
from tests.gpu.campaign import NAME, report_file
from tests.gpu.rehearsal import end_load

FOLDER = Path("results", "gpu-evidence-parts")
LIMIT_BYTES = 15 * 2**20
"""Applies to each file that is handed back."""

LEAST_CONTROLS_S = 60.0
"""Controls are not begun with less time than this."""

PACKING_S = 10.0
END_S = 8.0
USUAL_S = 360.0
"""Time for all parts that their budgets are made for; more of it lengthens each of them."""

VERDICTS: tuple[Verdict, ...] = ("PASS", "FAIL", "NOTE")
NO_LLAMACPP = (
    "left out: published CUDA wheels of llama.cpp's Python bindings have 0.7 GB and more "
    "(llama-cpp-python 0.3.35 for CUDA 13.2: 764 MB), and the 64 MiB that may be brought along "
    "do not hold one"
)


@dataclass(frozen=True)
class Part:
    """One part: its letter and subject, what is run, and how long it may take."""

    letter: str
    subject: str
    command: tuple[str, ...]
    budget_s: float


def parts(given: argparse.Namespace) -> list[Part]:
    """Return the parts in their order."""
    quick = ("--quick",) * given.quick
    engine = ("--python", given.python)
    folder = ("--folder", str(FOLDER))
    module = (sys.executable, "-m")
    change = ("--change-settings",) * given.change_settings
    model = ("--architecture", given.architecture)
    campaign = (*module, "tests.gpu.campaign", *folder)
    calibration = (*SNAKEMAKE, "calibrate_nvidia_smi", "--configfile", f"{FOLDER}/campaign.yaml")
    usual = [
        Part("a", "sensors", (*module, "tests.gpu.sensors", *engine, *folder, *quick, *change), 65),
        Part("b", "campaign", (*campaign, *engine, *model, *quick), 205),
        Part("c", "sampler", (*module, "tests.gpu.sampler_cost", *engine, *quick), 30),
        Part("d", "nvidia-smi", calibration, 60),
        Part("f", "controls", (*campaign, "--controls"), 150),
    ]
    longer = max(1.0, given.seconds / USUAL_S)
    return [replace(part, budget_s=part.budget_s * longer) for part in usual]


def run_part(part: Part, budget_s: float) -> list[Line]:
    """Run one part in its time; its lines, and the one on how it ended."""
    command = list(part.command)
    if "tests.gpu.campaign" in command:
        command += ["--seconds", str(budget_s)]
    print(f"\n== part {part.letter}: {part.subject}, at most {budget_s:.0f} s", flush=True)
    started_s = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    stopped = threading.Event()
    timer = threading.Timer(budget_s, end, (process, stopped))
    timer.start()
    found = []
    try:
        assert process.stdout is not None
        for text in process.stdout:
            print(text, end="", flush=True)
            if line := line_of(text):
                found.append(replace(line, subject=f"{part.letter} {line.subject}"))
        process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:
            end(process, stopped)
        end_load()
    took = f"{time.monotonic() - started_s:.0f} of {budget_s:.0f} s"
    how = "stopped" if stopped.is_set() else f"exit code {process.returncode}"
    good = process.returncode == 0 and not stopped.is_set()
    outcome = judged(f"part {part.letter}", good, f"{part.subject}: {how} after {took}")
    return [*found, said(outcome)]


def end(process: subprocess.Popen[str], stopped: threading.Event) -> None:
    """Interrupt a part whose time is over, and kill what does not end by that."""
    stopped.set()
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
            return


def line_of(text: str) -> Line | None:
    """The check that a part printed, None where it printed anything else."""
    for verdict in VERDICTS:
        subject, colon, rest = text.rstrip().removeprefix(f"{verdict}  ").partition(": ")
        if text.startswith(f"{verdict}  ") and colon:
            return Line(verdict, subject, rest)
    return None


def said(line: Line) -> Line:
    print(line, flush=True)
    return line


def hand_over(out: Path, lines: Sequence[Line]) -> None:
    """Write lines, report and results where they are fetched from: a few files of bounded size."""
    content = json.dumps([asdict(line) for line in lines], indent=1)
    (out / "lines.json").write_text(content + "\n")
    if report := report_file():
        shutil.copyfile(report, out / "report.html")
    for name, folder in (("parts", FOLDER), ("campaign", Path("results", NAME))):
        file = out / f"{name}.tar.gz"
        if folder.exists():
            with tarfile.open(file, "w:gz") as archive:
                archive.add(folder, arcname=name, filter=without_weights)
        if file.exists() and file.stat().st_size > LIMIT_BYTES:
            file.unlink()
            print(f"NOTE  {file.name}: left out, over {LIMIT_BYTES} bytes", flush=True)


def without_weights(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out the model, of which the shape is known and the rest is random."""
    return None if entry.name.endswith((".safetensors", "tokenizer.json")) else entry


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", required=True)
    parser.add_argument("--architecture", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--change-settings", action="store_true")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    end_s = time.monotonic() + given.seconds - PACKING_S
    FOLDER.mkdir(parents=True)
    lines: list[Line] = []
    for part in parts(given):
        left_s = end_s - time.monotonic()
        if part.letter == "f":
            lines.append(said(Line("NOTE", "part e", f"llama.cpp: {NO_LLAMACPP}")))
        if part.letter == "f" and (given.quick or left_s < LEAST_CONTROLS_S):
            text = f"controls: left out, {left_s:.0f} s left"
            lines.append(said(Line("NOTE", "part f", text)))
        elif left_s < 1.0:
            text = f"{part.subject}: no time left"
            lines.append(said(Line("FAIL", f"part {part.letter}", text)))
        else:
            lines += run_part(part, min(part.budget_s, left_s))
        hand_over(given.out, lines)
    passed, failed = (sum(x.verdict == each for x in lines) for each in ("PASS", "FAIL"))
    print(f"\n{passed} passed, {failed} failed; in {given.out}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
