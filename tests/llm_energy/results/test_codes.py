"""Every code that is raised anywhere has a meaning, and every meaning is raised somewhere."""

import ast
from collections.abc import Iterator
from pathlib import Path

from llm_energy.power.plausibility import impossible_mean
from llm_energy.power.series import Samples
from llm_energy.results.codes import ENERGY_REASONS, FAILURES, FLAGS
from llm_energy.results.failures import RETRIED
from worker import protocol

SCRIPTS = Path(__file__).parents[3] / "scripts"
ANALYSIS = SCRIPTS / "llm_energy/analysis"
RAISING = ("worker", "llm_energy/power", "llm_energy/backends", "llm_energy/measurement")
FILES = [
    *(path for room in RAISING for path in sorted((SCRIPTS / room).rglob("*.py"))),
    *sorted(ANALYSIS.glob("*.py")),
    SCRIPTS / "llm_energy/validation/wall_meter.py",
]
TREES = [ast.parse(path.read_text(encoding="utf-8")) for path in FILES]
NODES = [node for tree in TREES for node in ast.walk(tree)]
TEXTS = {node.value for node in NODES if isinstance(node, ast.Constant)}
PHASES = ("load", "idle", "warmup", "window")


def arguments(function: str, keyword: str | None = None) -> Iterator[str]:
    """Yield the text that calls of a function have as first argument, or as a named one."""
    for node in NODES:
        if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != function:
            continue
        values = [k.value for k in node.keywords if k.arg == keyword] or node.args[:1]
        yield from (
            inner.value
            for value in values
            for inner in ast.walk(value)
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
        )


def flags_by_code() -> Iterator[str]:
    """Yield the keys of the mappings `found` from which modules make their flags."""
    for tree in TREES:
        nodes = list(ast.walk(tree))
        if any(isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Flag" for n in nodes):
            yield from (
                node.slice.value
                for node in nodes
                if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
                if getattr(node.value, "id", "") == "found"
            )


def test_every_flag_that_is_raised_has_a_meaning():
    raised = {*arguments("Flag", "code"), *flags_by_code()}
    raised |= {
        node.value.elts[1].value
        for node in ast.walk(ast.parse((ANALYSIS / "campaign_flags.py").read_text()))
        if isinstance(node, ast.Yield)
    }
    assert raised - set(FLAGS) == set()


def test_every_reason_for_a_missing_energy_has_a_meaning():
    raised = {*arguments("Amount", "reason"), *arguments("_energy", "reason")} - {"no_"}
    raised |= {f"no_{phase}" for phase in PHASES}
    nothing, some = Samples((), ()), Samples((1.0, 2.0), (1.0, 1.0))
    uncovered = (nothing.uncovered(0, 1), some.uncovered(0, 1), some.uncovered(1, 3))
    impossible = impossible_mean(9.0, baseline=None, power_limit_watts=1.0)
    assert raised | {*uncovered, impossible} <= set(ENERGY_REASONS)


def test_every_reason_that_a_sensor_gives_has_a_meaning():
    (by_nvml,) = (
        node.value.values
        for node in NODES
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "attr", "") == "_reasons"
    )
    reasons = {constant.value for constant in by_nvml}
    assert set() < reasons <= set(ENERGY_REASONS)


def test_every_reason_of_a_failure_has_a_meaning():
    raised = {*arguments("BackendError")}
    raised |= {
        value
        for name, value in vars(protocol).items()
        if name.isupper() and isinstance(value, str) and name.lower() == value
    }
    assert raised - set(FAILURES) == set()
    assert set(FAILURES) >= RETRIED


OF_OLD_RESULTS = {"warmup_capped"}
"""Raised by earlier protocols alone."""


def test_every_meaning_is_raised_somewhere():
    named = TEXTS | {f"no_{phase}" for phase in PHASES}
    assert {*FLAGS, *ENERGY_REASONS, *FAILURES} - named == OF_OLD_RESULTS
