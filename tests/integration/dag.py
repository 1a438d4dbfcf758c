"""The jobs that the real command would run in a tree, without a process for each question.

Snakemake reads the tree's Snakefile and makes its graph as in a dry run, in a fork of this process
that imports the tree's own code: a quarter of the time of the command itself.
"""

import importlib
import json
import os
import sys
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from snakemake import cli
from snakemake.workflow import Workflow

OF_A_CHECKOUT = ("llm_energy", "worker")
"""Packages that each tree has of its own."""


@dataclass(frozen=True)
class Graph:
    """The jobs that a command would start, in the order of their priorities."""

    exit_code: int
    output: str
    jobs: list[dict[str, str]]
    """Rule and wildcards of each, and the name of its experiment where it has one."""

    @property
    def measurements(self) -> list[tuple[str, int]]:
        """(experiment, cycle) of all that would be measured, in their order."""
        return [
            (job["experiment"], int(job["cycle"])) for job in self.jobs if job["rule"] == "measure"
        ]

    @property
    def specifications(self) -> set[tuple[str, str]]:
        """(experiment, hash of its specification) of all that would be measured."""
        return {(job["experiment"], job["spec"]) for job in self.jobs if job["rule"] == "measure"}

    @property
    def rules(self) -> set[str]:
        return {job["rule"] for job in self.jobs}


def graph_of(folder: Path, arguments: list[str]) -> Graph:
    """The graph of a dry run of `arguments` in `folder`, as the command line would make it."""
    _load_once()
    with TemporaryDirectory(prefix="graph-") as answers:
        record, printed = Path(answers) / "jobs.json", Path(answers) / "log"
        child = os.fork()
        if child == 0:
            _answer(folder, arguments, record, printed)
        _, status = os.waitpid(child, 0)
        return Graph(
            exit_code=os.waitstatus_to_exitcode(status),
            output=printed.read_text(),
            jobs=json.loads(record.read_text()) if record.exists() else [],
        )


@cache
def _load_once() -> None:
    """Load what each fork would load for itself: Snakemake's plugins, and what it reads scripts
    with."""
    cli.get_argument_parser()
    importlib.import_module("nbformat")
    importlib.import_module("smart_open")


def _answer(folder: Path, arguments: list[str], record: Path, printed: Path) -> NoReturn:
    """Make the graph in this forked process, and end it."""
    code = 1
    try:
        with printed.open("w", buffering=1) as output:
            sys.stdout = sys.stderr = output
            _be_the_command(folder, arguments)
            Workflow.execute = _recorded(Workflow.execute, record)
            try:
                cli.main(arguments)
            except SystemExit as end:
                if isinstance(end.code, str):
                    print(end.code)
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                traceback.print_exc()
    finally:
        os._exit(code)


def _be_the_command(folder: Path, arguments: list[str]) -> None:
    """Leave nothing of this checkout for the Snakefile to find: it imports its own tree's code."""
    for name in [name for name in sys.modules if name.partition(".")[0] in OF_A_CHECKOUT]:
        del sys.modules[name]
    sys.path[:] = [entry for entry in sys.path if Path(entry).name != "scripts"]
    sys.argv = ["snakemake", *arguments]
    os.chdir(folder)


def _recorded(execute: Any, record: Path) -> Any:
    def and_record(workflow: Workflow, *arguments: Any, **options: Any) -> Any:
        done = execute(workflow, *arguments, **options)
        dag = workflow.dag
        jobs = sorted(dag.needrun_jobs(exclude_finished=False), key=lambda job: -dag.priority(job))
        told = [{"rule": job.rule.name} | dict(job.wildcards.items()) for job in jobs]
        record.write_text(json.dumps(told))
        return done

    return and_record
