"""Who may import whom, and how long a file may be: read from the sources, nothing is run."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
MODULES = sorted(
    path for path in SCRIPTS.rglob("*.py") if path.parent != SCRIPTS and path.name != "__init__.py"
)
RULE_SCRIPTS = sorted(SCRIPTS.glob("*.py"))
OTHER_FILES = sorted(
    path for top in ("tests", "benchmarks", "docs") for path in (ROOT / top).rglob("*.py")
)

LONGEST = 300
"""Lines of a file: one idea."""

COMPUTING = ("llm_energy/power/", "llm_energy/stats/")
SELF_EVIDENT = 8
"""A function as short as this may be without a docstring."""

ONLY_IN = {
    "docker": tuple(
        f"llm_energy/{room}/" for room in ("containers", "backends", "inputs", "preflight")
    ),
    "pynvml": ("llm_energy/power/", "llm_energy/preflight/", "llm_energy/validation/"),
    "snakemake": (),
}
"""Package -> the only places that may import it."""

ROOMS = (
    "worker",
    "containers",
    "system",
    "stats",
    "results",
    "campaign",
    "power",
    "runs",
    "backends",
    "inputs",
    "preflight",
    "measurement",
    "analysis",
    "export",
    "report",
    "archive",
    "validation",
    "workflow",
)
"""A room imports itself and the rooms before it; `worker` lies beside `llm_energy`."""

BLIND = {
    "worker": ("llm_energy",),
    "power": ("worker",),
    "stats": ("worker", "llm_energy.containers", "llm_energy.system"),
    "report": ("worker", "llm_energy.backends", "llm_energy.measurement"),
    "campaign": ("worker", "llm_energy.containers"),
}
"""Room -> earlier parts that it must know nothing of all the same."""


def name_of(path: Path) -> str:
    return path.relative_to(SCRIPTS).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, at its start or inside a function."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def room_of(module: str) -> str:
    """The room of a module of ours, given with dots; empty for any other module."""
    parts = module.split(".")
    if parts[0] == "worker":
        return "worker"
    return parts[1] if parts[0] == "llm_energy" and len(parts) > 1 else ""


def dotted(path: Path) -> str:
    return name_of(path).removesuffix(".py").replace("/", ".")


def test_every_module_lies_in_a_room():
    assert {room_of(dotted(path)) for path in MODULES} == set(ROOMS)
    assert [name_of(path) for path in (SCRIPTS / "llm_energy").glob("*.py")] == [
        "llm_energy/__init__.py"
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_before_it(room):
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in MODULES
        if room_of(dotted(path)) == room
        for module in imports(path)
        if (found := room_of(module)) and found in ROOMS and found not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("room", BLIND)
def test_a_room_knows_nothing_of_parts_that_are_not_its_business(room):
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in MODULES
        if room_of(dotted(path)) == room
        for module in imports(path)
        if any(inside(module, part) for part in BLIND[room])
    ]
    assert wrong == []


def test_no_two_rooms_use_one_file_name():
    """A name found by search leads to one place; engines' adapters are named after engines."""
    rooms: dict[str, set[str]] = {}
    for path in MODULES:
        rooms.setdefault(path.stem, set()).add(room_of(dotted(path)))
    assert {name: found for name, found in rooms.items() if len(found) > 1} == {}


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
    names = {dotted(p): p for p in MODULES}
    graph = {
        name: {module for module in imports(path) if module in names}
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
    paths = [*MODULES, *OTHER_FILES]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {str(path) for path, count in lengths.items() if count > LONGEST} == set()


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


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring, those of constants and fields included."""
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.Expr(value=ast.Constant(value=str() as text)):
                yield node.lineno, text.strip()


def test_a_docstring_begins_with_a_verb_or_a_noun():
    """`Return the ...`, `Check that ...`, `The ...`: never a subordinate clause."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"
        for path in [*MODULES, *RULE_SCRIPTS, *OTHER_FILES]
        for line, text in docstrings(path)
        if text.split(maxsplit=1)[:1] in (["What"], ["Whether"], ["Of"])
    ]
    assert wrong == []


def test_names_say_what_things_are():
    """`told`, `asked` and `said` named formatted, requested and reported things alike."""
    vague = {"told", "asked", "said"}
    wrong = []
    for path in [*MODULES, *RULE_SCRIPTS]:
        for node in ast.walk(tree_of(path)):
            match node:
                case ast.Name(id=name) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                    if vague & set(name.lower().split("_")):
                        wrong.append(f"{name_of(path)}:{node.lineno}: {name}")
    assert wrong == []
