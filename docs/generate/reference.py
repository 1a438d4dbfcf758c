"""Markdown tables of a campaign's keys, a result's keys and the engines' options."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llm_energy.campaign.engine_options import option_type

HEADINGS = {
    "CampaignConfig": "The file",
    "AdaptiveCycles": "`cycles`, in two stages",
    "Comparisons": "`comparisons`",
    "Controls": "`controls`",
    "Assumptions": "`assumptions`",
    "SensorAccuracy": "`assumptions.sensor`",
    "Electricity": "`assumptions.electricity`",
    "BackendConfig": "`backends.NAME`",
    "Interpreter": "`backends.NAME.environment`, for an interpreter of yours",
    "Image": "`backends.NAME.environment`, for an image of yours",
    "RunningContainer": "`backends.NAME.environment`, for a container that runs already",
    "Container": "`backends.NAME.container`",
    "Launch": "`backends.NAME.server`, for a server that is launched",
    "Attach": "`backends.NAME.server`, for a server that runs already",
    "ModelConfig": "`models.NAME`",
    "PackageSource": "`models.NAME.source`: a file inside a Python package",
    "HubSource": "`models.NAME.source`: a repository of the Hugging Face hub",
    "PathSource": "`models.NAME.source`: a local file or folder",
    "ShippedPrompts": "`prompts.NAME`: a set that comes with the workflow",
    "FilePrompts": "`prompts.NAME`: a file of yours",
    "PackagePrompts": "`prompts.NAME`: a file inside a Python package",
    "SyntheticPrompts": "`prompts.NAME`: synthetic prompts",
    "Synthetic": "`prompts.NAME.synthetic`",
    "TraceConfig": "`traces.NAME`",
    "Objectives": "`slo`",
    "Measurement": "`measurement`",
    "Redfish": "`measurement.host_power`, for a controller that is read over Redfish",
    "Parallel": "`parallel`",
    "DeclaredSettings": "`defaults` and `experiments.NAME.settings`",
    "Sampling": "`sampling`, inside settings",
    "Arrivals": "`arrivals`, inside settings",
    "GpuSettings": "`gpu`, inside settings",
    "OfDefault": "A share of the board's own value, inside `gpu`",
    "ClockRange": "A range of a locked clock, inside `gpu`",
    "Group": "`experiments.NAME`",
    "Publication": "`publication`",
    "Author": "`publication.authors`, with more than a name",
    "Related": "`publication.related`",
    "Range": "A range, as the values of an axis",
    "HighestGood": "A search, as the values of the axis `request_rate`",
    "RateGrid": "`highest_good`, the rates of a search",
}
"""Model -> where it stands in the file, in the order of the reference."""

TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "array": "list",
}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
TECHNICAL_LIMIT = 2**31
"""Bounds from here on only keep numbers in machine words."""


def reference(schema: Mapping[str, Any]) -> str:
    """Return one table for each model of a campaign: key, type, unit, default, meaning."""
    models = {schema["title"]: schema, **schema["$defs"]}
    text = ""
    for name, heading in HEADINGS.items():
        required = models[name].get("required", [])
        rows = (
            (
                f"`{key}`",
                _alternatives_text(node),
                next((inner["unit"] for inner in _alternatives(node) if "unit" in inner), ""),
                "required" if key in required else _default(node),
                node.get("description", ""),
            )
            for key, node in models[name]["properties"].items()
        )
        table = _table(("Key", "Type", "Unit", "Default", "Meaning"), rows)
        text += f"\n### {heading}\n\n{models[name]['description']}\n\n{table}"
    return text


def result_reference(schema: Mapping[str, Any]) -> str:
    """Return one table for each model of a result: key, type, meaning. Names hold the units."""
    text = ""
    for name, model in {schema["title"]: schema, **schema["$defs"]}.items():
        rows = (
            (f"`{key}`", _result_type(node), node.get("description", ""))
            for key, node in model["properties"].items()
        )
        table = _table(("Key", "Type", "Meaning"), rows)
        text += f"\n## {name}\n\n{model.get('description', '')}\n\n{table}"
    return text


def options_table(options: Mapping[str, Any]) -> str:
    """Return the table of an engine's options: name, type, default, meaning."""
    rows = []
    for name, option in options.items():
        node = {"enum": option.choices} if option.choices else option_type(option).json_schema()
        rows.append((f"`{name}`", _alternatives_text(node), _option_default(option), option.doc))
    return _table(("Option", "Type", "Default", "Meaning"), rows)


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = [*header]
    lines = [head, *([" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows)]
    text = ["| " + " | ".join(line) + " |\n" for line in lines]
    return "".join([text[0], "|---" * len(head) + "|\n", *text[1:]])


def _result_type(node: Mapping[str, Any]) -> str:
    nullable = {"type": "null"} in node.get("anyOf", [])
    return _alternatives_text(node, keys="{}") + (" or null" if nullable else "")


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _option_default(option: Any) -> str:
    return "not set" if option.default is None else f"`{_value(option.default)}`"


def _default(node: Mapping[str, Any]) -> str:
    value = node.get("default")
    if value is None or isinstance(value, dict):
        return "–"
    return f"`{value:g}`" if isinstance(value, float) else f"`{_value(value)}`"


def _alternatives_text(node: Mapping[str, Any], keys: str = "keys (see below)") -> str:
    return " or ".join(dict.fromkeys(_types(node, keys)))


def _types(node: Mapping[str, Any], keys: str) -> Iterator[str]:
    """Yield the types of a key in words; `keys` stands for keys of a model, whose name is {}."""
    for inner in _alternatives(node):
        if "$ref" in inner:
            yield keys.format(inner["$ref"].rpartition("/")[2])
        elif "enum" in inner or "const" in inner:
            values = inner.get("enum", [inner.get("const")])
            yield from (f"`{_value(value)}`" for value in values)
        elif inner.get("type") == "object":
            yield "keys with values"
        elif inner.get("type") == "array":
            item = inner["items"] if "items" in inner else inner["prefixItems"][0]
            yield f"list of {_alternatives_text(item, keys)}"
        else:
            bounds = [key for key in BOUNDS if inner.get(key, TECHNICAL_LIMIT) < TECHNICAL_LIMIT]
            words = (f" {BOUNDS[key]} {inner[key]:g}" for key in bounds)
            yield TYPES[inner["type"]] + "".join(words)


def _alternatives(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    inner = node.get("anyOf") or node.get("oneOf") or []
    for one in inner:
        yield from _alternatives(one)
    if not inner and node.get("type") != "null":
        yield node
