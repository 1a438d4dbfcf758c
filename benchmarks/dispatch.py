"""Savings of long-running backends: the same work with one container, and with one for each job.

    .venv/bin/python benchmarks/dispatch.py [--campaign FILE ...] [--backend NAME] [--jobs 4]

Takes a backend of a campaign with containers whose inputs are ready (`snakemake inputs`), and runs
the same jobs, which share their engine settings, in two ways, one after the other in each of
several rounds: dispatched by exec into one container that loads the model once, and with a
container started, the model loaded and the container removed for each job. Prints the ratio of
wall times, what one dispatch costs, and what a supervisor costs while it waits.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "scripts")]

from llm_energy.backends.runtimes import runtime_named  # noqa: E402

from llm_energy.backends import running  # noqa: E402
from llm_energy.backends.runtime import ContainerSettings, DeclaredBackend  # noqa: E402
from llm_energy.campaign.campaign import load_campaign  # noqa: E402
from llm_energy.campaign.experiment import Experiment  # noqa: E402
from llm_energy.inputs.models import verify_model  # noqa: E402
from llm_energy.runs.run import Run  # noqa: E402
from worker.protocol import Load, Measure  # noqa: E402
from worker.workload import EngineConfig, Sampling, WarmupRules, Workload  # noqa: E402

DEFAULT = ("config/campaigns/cpu-containers.yaml", "config/overlays/debian-base.yaml")
IDLE_S = 20.0


def experiment_of(files: list[Path], backend: str) -> tuple[Experiment, ContainerSettings]:
    """The first experiment of the campaign on this backend, and what its container gets."""
    config: dict[str, Any] = {}
    for file in files:
        for key, value in yaml.safe_load(file.read_text()).items():
            config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
    for file in files:  # backends merge one level deeper, as Snakemake does it
        for name, facts in yaml.safe_load(file.read_text()).get("backends", {}).items():
            config["backends"][name] = {**config["backends"].get(name, {}), **facts}
    campaign = load_campaign(config, files=files, root=ROOT, lock=ROOT / "config/models.lock.yaml")
    for experiment in campaign.experiments:
        if experiment.settings.backend == backend:
            container = campaign.backends[backend].container
            return experiment, ContainerSettings(**container.model_dump())
    sys.exit(f"{files[0]} has no experiment on {backend}")


class Jobs:
    """Jobs of one engine: load (or reuse) it, and generate a few tokens."""

    def __init__(self, experiment: Experiment) -> None:
        marker = Path(".cache/models") / experiment.model.id / "ready.json"
        self._model = str(verify_model(marker).path)
        self._settings = experiment.settings

    def run(self, record: Any, key: str) -> None:
        settings = self._settings
        engine = EngineConfig(
            backend=settings.backend,
            model_path=self._model,
            dtype=settings.dtype,
            context_tokens=settings.context_tokens,
            slots=1,
            options=settings.engine_options,
        )
        workload = Workload(
            mode="waves",
            batch_size=1,
            output_tokens=8,
            prompts=(tuple(range(100, 116)),),
            sampling=Sampling(),
            minimum_duration_s=0.001,
            minimum_waves=1,
            tail_s=0.0,
            warmup=WarmupRules(0.0, 600.0, 0.01),
        )
        with running.connect(record) as session:
            session.request(Load(900.0, key, engine))
            session.request(Measure(900.0, workload))


@contextmanager
def container(run: Run, declared: DeclaredBackend) -> Iterator[Any]:
    runtime = runtime_named(declared.runtime)
    record = runtime.start(declared, run)
    try:
        yield record
    finally:
        runtime.stop(record)


def timed(work: Callable[[], None]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def processor_s(pid: int) -> float:
    """CPU time of a process so far, in s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_megabytes(pid: int) -> float:
    """Memory that is the process's own share (PSS), in 10^6 bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError("the kernel tells no Pss")


def report_idle(pids: set[int]) -> None:
    """Measure the idle cost of the processes of a container without an engine."""
    before = sum(map(processor_s, pids))
    time.sleep(IDLE_S)
    share = (sum(map(processor_s, pids)) - before) / IDLE_S
    memory = sum(map(memory_megabytes, pids))
    print(f"supervisor and init, idle: {memory:.1f} MB, {share:.2%} of one core")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--campaign", type=Path, nargs="+", default=[ROOT / f for f in DEFAULT])
    parser.add_argument("--backend", default="pytorch")
    parser.add_argument("--jobs", type=int, default=4, help="jobs that share engine settings")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.chdir(ROOT)
    experiment, limits = experiment_of(given.campaign, given.backend)
    run = Run.create(campaign="bench", results=Path(mkdtemp()), scripts=ROOT / "scripts")
    try:
        running.ensure_watchdog(run)
        declared = DeclaredBackend(
            name=given.backend,
            runtime="docker",
            environment_id=experiment.environment.id,
            container=limits,
            readable=(str(Path(".cache/models").absolute()),),
        )
        measure(run, declared, Jobs(experiment), given.jobs, given.rounds)
    finally:
        results = run.results
        running.end_run(run)
        shutil.rmtree(results)


def measure(run: Run, declared: DeclaredBackend, jobs: Jobs, count: int, rounds: int) -> None:
    def long_running() -> None:
        with container(run, declared) as record:
            for _ in range(count):
                jobs.run(record, "shared")

    def one_each() -> None:
        for number in range(count):
            with container(run, declared) as record:
                jobs.run(record, str(number))

    ratios = []
    for number in range(rounds):
        ways = [long_running, one_each] if number % 2 == 0 else [one_each, long_running]
        took = {way.__name__: timed(way) for way in ways}
        ratios.append(took["one_each"] / took["long_running"])
        print(json.dumps({"round": number, **{k: round(v, 2) for k, v in took.items()}}))
    print(
        f"{count} jobs on {declared.name}: one container each takes "
        f"{statistics.median(ratios):.2f} times as long as one long-running container "
        f"({min(ratios):.2f} to {max(ratios):.2f} in {rounds} rounds)"
    )
    with container(run, declared) as record:

        def hello() -> None:
            with running.connect(record):
                pass

        hello()
        dispatch = [timed(hello) for _ in range(20)]
        print(
            f"one dispatch by exec, there and back: median {statistics.median(dispatch):.3f} s, "
            f"{min(dispatch):.3f} to {max(dispatch):.3f} s"
        )
        report_idle(runtime_named(declared.runtime).processes(record))


if __name__ == "__main__":
    main()
