"""From a raw configuration to its models; what is wrong with its structure, in plain words.

Whatever has a mistake is taken out and the rest is checked on, so that all mistakes are told at
once and none is told twice.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import Field, ValidationError

from llm_energy.campaign.declared_inputs import DeclaredPrompts, ModelConfig
from llm_energy.campaign.problems import KeyPath, Problem, Problems, nearest, shown, unknown
from llm_energy.campaign.schema import BackendConfig, CampaignConfig, Group
from llm_energy.campaign.settings import DOTTED_KEYS, SETTING_KEY
from llm_energy.campaign.types import PATTERNS_IN_WORDS

WHOLE = ("models", "prompts")
"""Sections whose entries go as a whole: without one of its keys, an entry is another thing."""


class Remains(CampaignConfig):
    """What is left of a campaign when its mistakes are taken out: anything may be missing."""

    campaign: str = ""
    backends: dict[str, BackendConfig] = Field(default_factory=dict)
    models: dict[str, ModelConfig] = Field(default_factory=dict)
    prompts: dict[str, DeclaredPrompts] = Field(default_factory=dict)
    experiments: dict[str, Group] = Field(default_factory=dict)


def read_structure(raw: Mapping[str, Any], problems: Problems) -> CampaignConfig:
    """The configuration as far as it is sound; its mistakes are added to `problems`."""
    try:
        return CampaignConfig.model_validate(dict(raw))
    except ValidationError as error:
        details = error.errors(include_url=False)
    for problem in _in_words(details):
        problems.add(problem.path, problem.message)
    sound = deepcopy(dict(raw))
    # First only the keys with a mistake go, then the entries that cannot be without them.
    for size in (None, 2, 1):
        for detail in reversed(details):  # the later items of a list first
            path = without_tags(detail["loc"])
            _take_out(sound, path[: 2 if path[0] in WHOLE else size])
        try:
            return Remains.model_validate(sound)
        except ValidationError as error:
            details = error.errors(include_url=False)
    return Remains()


def _take_out(config: Any, path: KeyPath) -> None:
    *parents, last = path
    try:
        for part in parents:
            config = config[part]
        del config[last]
    except (KeyError, IndexError, TypeError):
        pass  # a missing key, or inside what was taken out already


def without_tags(loc: Sequence[str | int]) -> KeyPath:
    """The path in the file: without the names of the alternatives that pydantic tried."""
    return tuple(part for part in loc if not _is_tag(part) and part != "[key]")


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith("<")


def _in_words(details: Sequence[Any]) -> list[Problem]:
    """One problem for each mistake; a key that is missing because it is misspelt is one."""
    problems, suggested = [], set[KeyPath]()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            *parents, key = detail["loc"]
            known = _known_keys(parents)
            problems.append(Problem(without_tags(detail["loc"]), unknown("key", key, known)))
            suggested.add((*without_tags(parents), nearest(key, known) or ""))
    for detail in details:
        path = without_tags(detail["loc"])
        if detail["type"] == "extra_forbidden" or path in suggested:
            continue
        problems.append(Problem(path, message_of(detail)))
    return problems


def message_of(detail: Any) -> str:
    """What pydantic found, in the words of a configuration file."""
    kind, given, limits = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "string_pattern_mismatch":
        if limits["pattern"] == SETTING_KEY:
            return unknown("setting", given, (*DOTTED_KEYS, "engine.BACKEND.OPTION"))
        return PATTERNS_IN_WORDS.get(limits["pattern"], f"must match {limits['pattern']}")
    if kind == "literal_error":
        near = nearest(given, limits["expected"].replace("'", "").replace(" or ", ", ").split(", "))
        hint = f"; did you mean {near}?" if near else ""
        return f"must be {limits['expected']}, not {shown(given)}{hint}"
    wanted = {
        "invalid_key": "a key must be text; put it in quotes",
        "missing": "is missing; give it a value",
        "int_type": f"must be a whole number, not {shown(given)}",
        "float_type": f"must be a number, not {shown(given)}",
        "bool_type": f"must be true or false, not {shown(given)}",
        "string_type": f"must be text, not {shown(given)}; put it in quotes",
        "dict_type": f"must be keys with values, not {shown(given)}",
        "model_type": f"must be keys with values, not {shown(given)}",
        "list_type": f"must be a list, not {shown(given)}",
        "greater_than_equal": f"must be at least {limits.get('ge', 0):g}, not {shown(given)}",
        "greater_than": f"must be above {limits.get('gt', 0):g}, not {shown(given)}",
        "less_than_equal": f"must be at most {limits.get('le', 0):g}, not {shown(given)}",
        "less_than": f"must be below {limits.get('lt', 0):g}, not {shown(given)}",
        "finite_number": f"must be a finite number, not {shown(given)}",
        "too_short": "must not be empty",
        "string_too_short": "must not be empty",
        "string_too_long": f"must have at most {limits.get('max_length')} characters",
    }
    return str(wanted.get(kind, detail["msg"]))


@cache
def _schema() -> dict[str, Any]:
    return CampaignConfig.model_json_schema()


def _known_keys(loc: Sequence[str | int]) -> list[str]:
    """The keys that may stand at `loc`, a location as pydantic gives it."""
    schema = _schema()
    node = schema
    for part in loc:
        if _is_tag(part):
            node = schema["$defs"].get(str(part)[1:-1], {})
        elif isinstance(part, int):
            node = node.get("items", {})
        else:
            patterns = [*node.get("patternProperties", {}).values()]
            others = patterns or [node.get("additionalProperties", {})]
            node = node.get("properties", {}).get(part) or others[0]
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return list(node.get("properties", {}))
