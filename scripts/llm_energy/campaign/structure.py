"""From a raw configuration to its models; what is wrong with its structure, in plain words.

Whatever has a mistake is taken out and the rest is checked on, so that all mistakes are reported at
once and none is reported twice.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import Field, ValidationError

from llm_energy.campaign.backend_settings import BackendConfig
from llm_energy.campaign.campaign_file import CampaignConfig, Group
from llm_energy.campaign.declared_inputs import DeclaredPrompts, ModelConfig
from llm_energy.campaign.experiment_settings import DOTTED_KEYS, SETTING_KEY
from llm_energy.campaign.problems import KeyPath, Problems, nearest, shown, unknown
from llm_energy.campaign.types import PATTERNS_IN_WORDS, TAG, tag_of

WHOLE = ("models", "prompts", "traces")
"""Sections whose entries go as a whole: without one of its keys, an entry is another thing."""

WITH_UNIT = re.compile(r"[-+]?[\d.]+ ?[A-Za-zµ%]+")
"""A value such as `500 ms`, where the key has the unit."""

WORDS = {
    "invalid_key": "a key must be text; put it in quotes",
    "missing": "is missing; give it a value",
    "int_type": "must be a whole number, not {given}",
    "float_type": "must be a number, not {given}",
    "bool_type": "must be true or false, not {given}",
    "string_type": "must be text, not {given}; put it in quotes",
    "dict_type": "must be keys with values, not {given}",
    "model_type": "must be keys with values, not {given}",
    "list_type": "must be a list, not {given}",
    "greater_than_equal": "must be at least {ge:g}, not {given}",
    "greater_than": "must be above {gt:g}, not {given}",
    "less_than_equal": "must be at most {le:g}, not {given}",
    "less_than": "must be below {lt:g}, not {given}",
    "finite_number": "must be a finite number, not {given}",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
}
"""Type of an error of pydantic -> the same in the words of a configuration file."""


class Remains(CampaignConfig):
    """A campaign without its mistakes: anything may be missing."""

    campaign: str = ""
    backends: dict[str, BackendConfig] = Field(default_factory=dict)
    models: dict[str, ModelConfig] = Field(default_factory=dict)
    prompts: dict[str, DeclaredPrompts] = Field(default_factory=dict)
    experiments: dict[str, Group] = Field(default_factory=dict)


def read_structure(raw: Mapping[str, Any], problems: Problems) -> CampaignConfig:
    """Return the configuration as far as it is sound; add its mistakes to `problems`."""
    try:
        return CampaignConfig.model_validate(dict(raw))
    except ValidationError as error:
        details = error.errors(include_url=False)
    _report(details, problems)
    sound = deepcopy(dict(raw))
    # First only the keys with a mistake go, then the entries that cannot be without them.
    for size in (None, 2, 1):
        for detail in reversed(details):  # the later items of a list first
            path = _without_tags(detail["loc"])
            _take_out(sound, path[: 2 if path[0] in WHOLE else size])
        try:
            return Remains.model_validate(sound)
        except ValidationError as error:
            details = error.errors(include_url=False)
    return Remains()


def _take_out(config: Any, path: KeyPath) -> None:
    *parents, last = path
    with suppress(KeyError, IndexError, TypeError):  # missing, or inside what is out already
        for part in parents:
            config = config[part]
        del config[last]


def _without_tags(loc: Sequence[str | int]) -> KeyPath:
    """The path in the file: without the names of the alternatives that pydantic tried."""
    return tuple(part for part in loc if not _is_tag(part) and part != "[key]")


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith(f"<{TAG}:")


def _report(details: Sequence[Any], problems: Problems) -> None:
    """Add every mistake; a key that is missing because it is misspelt is one."""
    suggested = set[KeyPath]()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            *parents, key = detail["loc"]
            known = _known_keys(parents)
            problems.add(_without_tags(detail["loc"]), unknown("key", key, known))
            suggested.add((*_without_tags(parents), nearest(key, known) or ""))
    for detail in details:
        path = _without_tags(detail["loc"])
        if detail["type"] != "extra_forbidden" and path not in suggested:
            problems.add(path, message_of(detail))


def message_of(detail: Any) -> str:
    """Return what pydantic found, in the words of a configuration file."""
    kind, given, limits = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "string_pattern_mismatch":
        if limits["pattern"] == SETTING_KEY:
            return unknown("setting", given, (*DOTTED_KEYS, "engine.BACKEND.OPTION"))
        return PATTERNS_IN_WORDS.get(limits["pattern"], f"must match {limits['pattern']}")
    if kind == "float_type" and isinstance(given, str) and WITH_UNIT.fullmatch(given):
        return f"must be a number without its unit, not {shown(given)}"
    if kind == "literal_error":
        near = nearest(given, limits["expected"].replace("'", "").replace(" or ", ", ").split(", "))
        hint = f"; did you mean {near}?" if near else ""
        return f"must be {limits['expected']}, not {shown(given)}{hint}"
    return WORDS[kind].format(given=shown(given), **limits) if kind in WORDS else str(detail["msg"])


_schema = cache(CampaignConfig.model_json_schema)


def _known_keys(loc: Sequence[str | int]) -> list[str]:
    """The keys that may stand at `loc`, a location as pydantic gives it."""
    models = _schema()["$defs"]
    node = _schema()
    for part in loc:
        if _is_tag(part):
            node = models.get(str(part)[len(tag_of("")) - 1 : -1], {})
        elif isinstance(part, int):
            node = node.get("items", {})
        else:
            others = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
            node = node.get("properties", {}).get(part) or others[0] or {}
        node = models.get(node.get("$ref", "").rpartition("/")[2], node)
    return list(node.get("properties", {}))
