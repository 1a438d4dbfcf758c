"""Where in the campaign's files a key stands, so that a message can name file and line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from llm_energy.campaign.problems import KeyPath, Problem, dotted

COMMAND_LINE = "--config"
"""Named as the place of a key that no file gives."""

MERGE = "tag:yaml.org,2002:merge"

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, order=True)
class Place:
    """One line of one file; `line` counts from 1 and is 0 for the command line."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake at its place; sorts by file and line."""

    place: Place
    message: str
    unreadable: bool = False
    """Whether nothing can be said of the rest of the file."""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class SourceLines:
    """The node trees of the campaign's files; later files win, as Snakemake merges them."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._trees: list[tuple[str, Node]] = []
        self._nowhere = Place(_shown(files[-1]), 1) if files else Place(COMMAND_LINE, 0)
        self.mistakes: list[Mistake] = []
        """What is wrong with the files as YAML: syntax, and keys given twice."""
        for file in files:
            self._read(file)

    def _read(self, file: Path) -> None:
        name = _shown(file)
        try:
            tree = yaml.compose(file.read_text(encoding="utf-8"), Loader=Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            self._add(name, line, f"not valid YAML: {error.problem}", unreadable=True)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
            self._add(name, 1, f"cannot be read: {reason}", unreadable=True)
        else:
            if not isinstance(tree, MappingNode):
                message = "must be keys with values; config/README.md explains them"
                self._add(name, 1, message, unreadable=True)
                return
            self._trees.append((name, tree))
            for key in _repeated_keys(tree):
                message = f"{key.value}: key given twice; keep one"
                self._add(name, key.start_mark.line + 1, message)

    def unreadable(self) -> bool:
        """Whether one of the files cannot be read as keys with values."""
        return any(mistake.unreadable for mistake in self.mistakes)

    def _add(self, file: str, line: int, message: str, *, unreadable: bool = False) -> None:
        self.mistakes.append(Mistake(Place(file, line), message, unreadable))

    def locate(self, problems: Iterable[Problem], config: Mapping[str, Any]) -> list[Mistake]:
        """The problems at the lines of their keys."""
        return [
            Mistake(self.place(problem.path, config), f"{dotted(problem.path)}: {problem.message}")
            for problem in problems
        ]

    def place(self, path: KeyPath, config: Mapping[str, Any]) -> Place:
        """The line of a key, or of the nearest key around it that a file gives.

        A key that `config` has with another value than the files was given by `--config`.
        """
        depth, place, value = 0, self._nowhere, None
        for name, tree in self._trees:
            found, key, inner = _find(tree, path)
            if found >= depth:
                depth, place, value = found, Place(name, key.start_mark.line + 1), inner
        is_set, wanted = _look_up(config, path)
        if is_set and (depth < len(path) or _differs(value, wanted)):
            return Place(COMMAND_LINE, 0)
        return place


def _find(tree: Node, path: KeyPath) -> tuple[int, Node, Node]:
    """How many parts of `path` the tree has, and the nodes of the last one's key and value."""
    key, value = tree, tree
    for depth, part in enumerate(path):
        child = _child(value, part)
        if child is None:
            return depth, key, value
        key, value = child
    return len(path), key, value


def _child(node: Node, part: str | int) -> tuple[Node, Node] | None:
    if isinstance(node, SequenceNode) and isinstance(part, int):
        return (node.value[part],) * 2 if part < len(node.value) else None
    if not isinstance(node, MappingNode):
        return None
    for key, value in node.value:
        if key.value == str(part):
            return key, value
    merged = (_child(source, part) for source in _merged(node))
    return next((child for child in merged if child), None)


def _merged(node: MappingNode) -> Iterator[Node]:
    """The mappings that `<<` brings into this one."""
    for key, value in node.value:
        if key.tag == MERGE:
            yield from value.value if isinstance(value, SequenceNode) else [value]


def _repeated_keys(node: Node) -> Iterator[Node]:
    """Key nodes that repeat an earlier key of their mapping, anywhere in the tree."""
    todo, seen_nodes = [node], set[int]()
    while todo:
        node = todo.pop()
        if id(node) in seen_nodes or not isinstance(node, MappingNode | SequenceNode):
            continue
        seen_nodes.add(id(node))  # an anchored node is reached along several ways
        if isinstance(node, SequenceNode):
            todo += node.value
            continue
        todo += [value for _, value in node.value]
        keys = set[str]()
        for key, _ in node.value:
            if isinstance(key, ScalarNode):
                if key.value in keys:
                    yield key
                keys.add(key.value)


def _look_up(config: Any, path: KeyPath) -> tuple[bool, Any]:
    """Whether `config` has a value at `path`, and which."""
    for part in path:
        try:
            config = config[part]
        except (KeyError, IndexError, TypeError):
            return False, None
    return True, config


def _differs(node: Node | None, value: Any) -> bool:
    """Whether a scalar of a file is another value than the one in force."""
    if not isinstance(node, ScalarNode):
        return False
    given = SafeConstructor().construct_object(node)
    return bool(given != value and given == given)  # NaN is no other value than NaN


def _shown(file: Path) -> str:
    """The path as a user would type it: from the working directory if it lies below."""
    path = file.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
