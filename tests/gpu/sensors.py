"""Part a: what the sensors of the first GPU answer, at rest and under matrix products.

    python -m tests.gpu.sensors --python PYTHON --folder FOLDER [--quick] [--change-settings]

The time goes to 8 s at rest and 24 s under load, both read at 100 Hz, with 6 s of load before.
"""

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pynvml

from llm_energy.power.gpu_driver import open_gpus
from llm_energy.power.nvml import NvmlMeter
from llm_energy.power.series_file import write_series
from llm_energy.validation.gpu_sensors import LoadError, Timing, Watched, load_on, read_sensor
from llm_energy.validation.kit_lines import Line, judged
from llm_energy.validation.sensor_checks import sensor_lines
from tests.gpu import nvml_answers
from tests.gpu.nvml_answers import Answer

FULL = Timing(idle_s=8.0, warm_s=6.0, loaded_s=24.0, windows_s=(2.0, 6.0))
QUICK = Timing(idle_s=2.0, warm_s=1.0, loaded_s=6.0, windows_s=(1.0, 2.0))


def lines(python: str, timing: Timing, folder: Path, *, change: bool) -> Iterator[Line]:
    """Yield what was seen of the first GPU; all answers go into `nvml.json`."""
    meter = open_gpus()
    if not isinstance(meter, NvmlMeter):
        yield Line("FAIL", "NVML", "no library, no working driver or no GPU")
        return
    try:
        device = meter.devices[0]
        text = f"{len(meter.devices)}, of which the first is watched; user id {os.geteuid()}"
        yield Line("NOTE", "GPUs", text)
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        idle = read_sensor(meter, device, timing.idle_s)
        at_rest = list(nvml_answers.answers(pynvml, handle))
        try:
            with load_on(device.id, python=python):
                fields = list(nvml_answers.field_answers(pynvml, handle, watched_s=timing.warm_s))
                busy = list(nvml_answers.answers(pynvml, handle))
                seen = Watched(idle, read_sensor(meter, device, timing.loaded_s))
        except LoadError as error:
            yield Line("FAIL", "load", str(error))
            fields = list(nvml_answers.field_answers(pynvml, handle, watched_s=1.0))
            busy, seen = [], None
        setters = list(nvml_answers.try_setters(pynvml, handle)) if change else []
        keep(folder, at_rest=at_rest, under_load=[*fields, *busy], setters=setters)
        yield from answer_lines(at_rest, busy, fields)
        yield from (answer_line(answer) for answer in setters)
        if seen is not None:
            for name, each in (("idle", seen.idle), ("loaded", seen.loaded)):
                write_series(folder, f"sensors-{name}.parquet", each.series)
            yield from sensor_lines(seen, timing.windows_s)
    finally:
        meter.close()


def keep(folder: Path, **answers: list[Answer]) -> None:
    """Write all answers."""
    content = {when: [asdict(answer) for answer in each] for when, each in answers.items()}
    (folder / "nvml.json").write_text(json.dumps(content, indent=1) + "\n")


def answer_lines(at_rest: list[Answer], busy: list[Answer], fields: list[Answer]) -> Iterator[Line]:
    """Yield one line for each query: at rest, and under load where that differs."""
    loaded = {answer.query: answer for answer in busy}
    for answer in at_rest:
        other = loaded.get(answer.query, answer)
        line = answer_line(answer)
        changed = other.value is not None and other.value != answer.value
        yield Line("NOTE", line.subject, line.text + f"; under load {other.value}" * changed)
    yield from map(answer_line, fields)
    answered = sum(answer.error is None for answer in [*at_rest, *fields])
    asked = len(at_rest) + len(fields)
    yield judged("NVML", answered > 0, f"{answered} of {asked} queries have an answer")


def answer_line(answer: Answer) -> Line:
    """Return the line of one query."""
    period_s = answer.update_period_s
    often = "" if period_s is None else f", changes every {1e3 * period_s:.0f} ms under load"
    text = f"{answer.value}{often}" if answer.error is None else f"no value: {answer.error}"
    return Line("NOTE", answer.query.removeprefix("nvmlDeviceGet"), text)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--change-settings", action="store_true")
    given = parser.parse_args()
    timing = QUICK if given.quick else FULL
    for line in lines(given.python, timing, given.folder, change=given.change_settings):
        print(line, flush=True)


if __name__ == "__main__":
    main()
