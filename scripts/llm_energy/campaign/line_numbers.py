"""Lines of the campaign's files at which its keys stand, for messages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError, FullConstructor, SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import Reader

from llm_energy.campaign.problems import CampaignError, KeyPath, Problems, dotted, first_of

COMMAND_LINE = "--config"
"""Named as the place of a key that no file gives."""

DEEPEST = 20
"""Levels of keys and lists in a campaign's file."""

LONGEST_LIST = 10_000
"""Entries of a list or a block of keys."""

MOST_ENTRIES = 100_000
"""Entries of a file, counted as often as an alias repeats them: a few lines may make billions."""

TEXT_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")
"""Tags of keys that are text, or `<<`, which brings in the keys of another block."""

YAML = "tag:yaml.org,2002:"
OF_PYTHON = f"{YAML}python/"
"""Beginning of the tags of objects that PyYAML makes beyond what YAML has."""

KINDS = {
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "null": "nothing",
    "timestamp": "a date",
}
"""Last part of the tag of another key, in words."""

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake at its place; sorts by file and line."""

    file: str
    line: int
    """From 1; 0 for the command line."""
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"


@dataclass
class SourceLines:
    """The campaign's files as trees of nodes; later files win, as Snakemake merges them."""

    trees: dict[str, Node] = field(default_factory=dict)
    repeated: list[Mistake] = field(default_factory=list)
    """Keys that are given twice."""
    _blocks: dict[int, dict[str, tuple[Node, Node]]] = field(default_factory=dict)
    """Blocks of keys that were looked into, by the ids of their nodes: the last node of key and
    value of each key. A file may have thousands of mistakes in one block."""

    def locate(self, problems: Problems, config: Mapping[str, Any]) -> list[Mistake]:
        """Return the problems at the lines of their keys.

        Without a line of its own a key has that of the nearest key around it. A key that `config`
        has with another value than the files was given by `--config`.
        """
        return [
            Mistake(*self._place(path, config), f"{dotted(path)}: {message}")
            for path, messages in problems.items()
            for message in first_of(messages)
        ]

    def _place(self, path: KeyPath, config: Mapping[str, Any]) -> tuple[str, int]:
        file, found = COMMAND_LINE, list[tuple[Node, Node]]()
        for name, tree in self.trees.items():
            nodes = self._along(tree, path)
            if len(nodes) >= len(found):
                file, found = name, nodes
        try:
            in_force: Any = reduce(getitem, path, config)  # type: ignore[arg-type]
            given_here = len(found) == len(path) and not _differs(found[-1][1], in_force)
        except (KeyError, IndexError, TypeError):
            given_here = bool(self.trees)  # it is missing
        if not given_here:
            return COMMAND_LINE, 0
        node = found[-1][0] if found else self.trees[file]
        return file, node.start_mark.line + 1

    def _along(self, tree: Node, path: KeyPath) -> list[tuple[Node, Node]]:
        """The nodes of key and value of each part of a path, as far as the tree has them."""
        found, node = list[tuple[Node, Node]](), tree
        for part in path:
            child = self._child(node, part)
            if child is None:
                break
            found.append(child)
            node = child[1]
        return found

    def _child(self, node: Node, part: str | int) -> tuple[Node, Node] | None:
        if isinstance(node, SequenceNode) and isinstance(part, int):
            return (node.value[part],) * 2 if part < len(node.value) else None
        if not isinstance(node, MappingNode):
            return None
        if id(node) not in self._blocks:
            # What `<<` brings into it stands before its own keys then.
            SafeConstructor().flatten_mapping(node)
            self._blocks[id(node)] = {pair[0].value: pair for pair in node.value}
        return self._blocks[id(node)].get(str(part))


def read_files(files: Sequence[Path]) -> SourceLines:
    """Read the campaign's files as they are written, whatever their keys.

    Raises:
        CampaignError: one of them does not exist, or is not YAML with keys at its top.
    """
    lines, unreadable = SourceLines(), list[Mistake]()
    for file in files:
        path = file.absolute()
        below = path.is_relative_to(Path.cwd())
        name = str(path.relative_to(Path.cwd()) if below else path)  # as a user would type it
        text = ""
        try:
            text = file.read_text(encoding="utf-8")
            tree = yaml.compose(text, Loader=Loader)
            strange = [Mistake(name, *found) for found in _strange(tree)]
            if strange:
                unreadable += strange
            elif tree is not None:  # another tree than `tree`: a constructor merges keys in place
                _Constructor().construct_document(yaml.compose(text, Loader=Loader))
        except yaml.MarkedYAMLError as error:
            unreadable.append(Mistake(name, *_place_and_problem(error, text)))
        except FileNotFoundError:
            target = "there is no such file; put a target before --configfile and other options"
            unreadable.append(Mistake(name, 0, target))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
            strange_one = Reader.NON_PRINTABLE.search(text)
            line = text.count("\n", 0, strange_one.start()) + 1 if strange_one else 0
            if strange_one:
                reason = f"the character U+{ord(strange_one[0]):04X}, which no YAML may hold"
            unreadable.append(Mistake(name, line, f"cannot be read: {reason}"))
        else:
            if isinstance(tree, MappingNode):
                lines.trees[name] = tree
                lines.repeated += [
                    Mistake(
                        name, key.start_mark.line + 1, f"{key.value}: key given twice; keep one"
                    )
                    for key in _repeated_keys(tree)
                ]
            else:
                message = "must be keys with values; config/README.md explains them"
                unreadable.append(Mistake(name, 1, message))
    if unreadable:
        raise CampaignError([str(mistake) for mistake in (*lines.repeated, *unreadable)])
    return lines


class _Constructor(FullConstructor):
    """Snakemake's constructor of values, with the line of each that cannot be made."""

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # a date that no calendar has
            raise ConstructorError(None, None, str(error), node.start_mark) from error
        except (KeyError, AttributeError) as error:  # `!!bool maybe`, `!!timestamp soon`
            kind = node.tag.rpartition(":")[2]
            message = f"{node.value} is no {kind}"
            raise ConstructorError(None, None, message, node.start_mark) from error


def _place_and_problem(error: yaml.MarkedYAMLError, text: str) -> tuple[int, str]:
    """Line of a mistake, and the problem in the words of YAML; of a tab, which YAML does not name,
    the remedy."""
    mark, began = error.problem_mark or error.context_mark, error.context_mark
    if mark is None:
        return 1, f"not valid YAML: {error.problem}"
    problem = f"not valid YAML: {error.problem}"
    lines = text.splitlines()
    if mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t":
        problem = "not valid YAML: a tab; indent with spaces"
    elif began is not None and began.line < mark.line:
        problem += f", {error.context} that begins in line {began.line + 1}"
    return mark.line + 1, problem


def _strange(tree: Node | None) -> Iterator[tuple[int, str]]:
    """Yield line and message of what no campaign has: keys that are no text, depth, long lists.

    Snakemake would end in a traceback, or read for minutes.
    """
    todo, seen = [(tree, 0)] if tree is not None else [], set[int]()
    while todo:
        node, depth = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        line = node.start_mark.line + 1
        if node.tag.startswith(OF_PYTHON):
            yield line, f"{node.tag.replace(YAML, '!!')}: objects of Python are not taken"
        if isinstance(node, ScalarNode):
            continue
        if depth >= DEEPEST:
            yield line, f"nested deeper than {DEEPEST} levels; no key of a campaign is"
            return
        if len(node.value) > LONGEST_LIST:
            message = f"has {len(node.value)} entries, at most {LONGEST_LIST} are taken"
            yield line, f"{message}; write a range as {{from: 1, to: 64, step: 1}}"
        elif isinstance(node, SequenceNode):
            todo += [(value, depth + 1) for value in node.value]
        elif isinstance(node, MappingNode):
            for key, value in node.value:
                if isinstance(key, ScalarNode) and key.tag not in TEXT_KEYS:
                    kind = KINDS.get(key.tag.rpartition(":")[2], "no text")
                    message = f"{key.value}: YAML reads this key as {kind}; put it in quotes"
                    yield key.start_mark.line + 1, message
                todo.append((value, depth + 1))
    if tree is not None and (count := _entries(tree, {})) > MOST_ENTRIES:
        message = f"has {count} entries, with those of each alias (`*name`)"
        yield 1, f"{message}; at most {MOST_ENTRIES} are taken"


def _entries(node: Node, known: dict[int, int]) -> int:
    """Count the entries below a node, again for each alias; a node inside itself counts once.

    Args:
        known: counts by the id of a node; filled.
    """
    if id(node) in known or isinstance(node, ScalarNode):
        return known.get(id(node), 0)
    known[id(node)] = 0
    pairs = node.value if isinstance(node, MappingNode) else [(value,) for value in node.value]
    known[id(node)] = len(pairs) + sum(_entries(pair[-1], known) for pair in pairs)
    return known[id(node)]


def _repeated_keys(tree: Node) -> Iterator[Node]:
    """Yield key nodes that repeat an earlier key of their mapping, anywhere in the tree."""
    todo, seen = [tree], set[int]()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))  # an anchored node is reached along several ways
        if isinstance(node, SequenceNode):
            todo += node.value
        elif isinstance(node, MappingNode):
            todo += [value for _, value in node.value]
            keys = set[str]()
            for key in (key for key, _ in node.value if isinstance(key, ScalarNode)):
                if key.value in keys:
                    yield key
                keys.add(key.value)


def _differs(node: Node, value: Any) -> bool:
    """Return True where a scalar of a file is another value than the one in force."""
    if not isinstance(node, ScalarNode):
        return False
    given = SafeConstructor().construct_object(node)
    return bool(given != value and given == given)  # NaN is no other value than NaN
