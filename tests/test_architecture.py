"""Who may import whom, and how long a file may be: read from the sources, nothing is run."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
MODULES = sorted(
    path for path in SCRIPTS.rglob("*.py") if path.parent != SCRIPTS and path.name != "__init__.py"
)
RULE_SCRIPTS = sorted(SCRIPTS.glob("*.py"))

LONGEST = 300
"""Lines of a file: one idea."""

COMPUTING = ("llm_energy/power/", "llm_energy/stats/")
SELF_EVIDENT = 8
"""A function as short as this may be without a docstring."""

ONLY_IN = {
    "docker": ("llm_energy/containers/", "llm_energy/backends/", "llm_energy/inputs/"),
    "pynvml": ("llm_energy/power/", "llm_energy/preflight/", "llm_energy/acceptance/"),
    "snakemake": (),
}
"""Package -> the only places that may import it."""

FORBIDDEN = {
    "worker/": ("llm_energy",),
    "llm_energy/power/": ("worker", "llm_energy.backends", "llm_energy.measurement"),
    "llm_energy/stats/": ("worker", "llm_energy.backends", "llm_energy.power", "llm_energy.report"),
    "llm_energy/report/": ("worker", "llm_energy.backends", "llm_energy.measurement"),
    "llm_energy/config/": ("worker", "llm_energy.backends", "llm_energy.power"),
}
"""Part -> what it must know nothing of."""


def name_of(path: Path) -> str:
    return path.relative_to(SCRIPTS).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, *, at_start: bool = False) -> Iterator[str]:
    """The modules that a file imports; at its start, or anywhere in it."""
    tree = tree_of(path)
    for node in tree.body if at_start else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("part", FORBIDDEN)
def test_imports_go_one_way(part):
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in MODULES
        if name_of(path).startswith(part)
        for module in imports(path)
        if any(inside(module, package) for package in FORBIDDEN[part])
    ]
    assert wrong == []


def test_the_worker_needs_the_standard_library_and_an_engine_only():
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in MODULES
        if name_of(path).startswith("worker/") and "/engines/" not in name_of(path)
        for module in imports(path)
        if (top := module.split(".")[0]) not in sys.stdlib_module_names and top != "worker"
    ]
    # The converters are engines' tools, and cuda asks torch; they are run by themselves.
    assert {line.split(" ")[0] for line in wrong} <= {"worker/convert.py", "worker/cuda.py"}


@pytest.mark.parametrize("package", ONLY_IN)
def test_what_talks_to_the_outside_does_so_in_one_place(package):
    wrong = [
        name_of(path)
        for path in [*MODULES, *RULE_SCRIPTS]
        if any(inside(module, package) for module in imports(path))
        and not any(name_of(path).startswith(place) for place in ONLY_IN[package])
    ]
    assert wrong == []


def test_no_module_imports_itself_through_others():
    names = {name_of(p).removesuffix(".py").replace("/", "."): p for p in MODULES}
    graph = {
        name: {module for module in imports(path, at_start=True) if module in names}
        for name, path in names.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("path", RULE_SCRIPTS, ids=name_of)
def test_a_rule_script_is_a_thin_call_without_arithmetic(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 50
    # Dividing joins paths; everything else computes.
    operations = [n.op for n in ast.walk(tree_of(path)) if isinstance(n, ast.BinOp)]
    assert all(isinstance(op, ast.Div) for op in operations)


def test_a_file_is_one_idea():
    lengths = {name_of(p): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert {name for name, count in lengths.items() if count > LONGEST} == set()


def test_what_a_module_offers_says_what_it_is():
    """Functions whose name says it all may be without; never those that compute."""
    wrong = []
    for path in MODULES:
        tree, computes = tree_of(path), name_of(path).startswith(COMPUTING)
        assert ast.get_docstring(tree), name_of(path)
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            short = (node.end_lineno or 0) - node.lineno < SELF_EVIDENT
            if node.name != "main" and not ast.get_docstring(node) and (computes or not short):
                wrong.append(f"{name_of(path)}: {node.name}")
    assert wrong == []
