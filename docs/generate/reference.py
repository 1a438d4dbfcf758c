"""References of a campaign file's keys and of a result's, as Markdown, from their JSON schemas."""

from collections.abc import Iterator, Mapping
from typing import Any

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
    "Container": "`backends.NAME.container`",
    "ModelConfig": "`models.NAME`",
    "PackageSource": "`models.NAME.source`: a file inside a Python package",
    "HubSource": "`models.NAME.source`: a repository of the Hugging Face hub",
    "PathSource": "`models.NAME.source`: a local file or folder",
    "ShippedPrompts": "`prompts.NAME`: a set that comes with the workflow",
    "FilePrompts": "`prompts.NAME`: a file of yours",
    "PackagePrompts": "`prompts.NAME`: a file inside a Python package",
    "SyntheticPrompts": "`prompts.NAME`: synthetic prompts",
    "Synthetic": "`prompts.NAME.synthetic`",
    "Measurement": "`measurement`",
    "DeclaredSettings": "`defaults` and `experiments.NAME.settings`",
    "Sampling": "`sampling`, inside settings",
    "Group": "`experiments.NAME`",
    "Publication": "`publication`",
    "Author": "`publication.authors`, with more than a name",
    "Related": "`publication.related`",
    "Range": "A range, as the values of an axis",
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
    """One table for each model: key, type, unit, default, meaning."""
    models = {schema["title"]: schema, **schema["$defs"]}
    return "\n" + "\n".join(_section(models[name], title) for name, title in HEADINGS.items())


def result_reference(schema: Mapping[str, Any]) -> str:
    """One table for each model of a result: key, type, meaning. Units are in the names."""
    models = {schema["title"]: schema, **schema["$defs"]}
    return "\n" + "\n".join(
        f"## {name}\n\n{model.get('description', '')}\n\n| Key | Type | Meaning |\n|---|---|---|\n"
        + "".join(_result_row(key, node) for key, node in model["properties"].items())
        for name, model in models.items()
    )


def _result_row(key: str, node: Mapping[str, Any]) -> str:
    nullable = {"type": "null"} in node.get("anyOf", [])
    types = [*dict.fromkeys(_types(node, keys="{}")), *(["null"] if nullable else [])]
    cells = (f"`{key}`", " or ".join(types), " ".join(node.get("description", "").split()))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _section(model: Mapping[str, Any], heading: str) -> str:
    required = model.get("required", [])
    rows = [_row(key, node, key in required) for key, node in model["properties"].items()]
    table = ["| Key | Type | Unit | Default | Meaning |", "|---|---|---|---|---|", *rows]
    return f"### {heading}\n\n{model['description']}\n\n" + "\n".join(table) + "\n"


def _row(key: str, node: Mapping[str, Any], required: bool) -> str:
    cells = [
        f"`{key}`",
        " or ".join(dict.fromkeys(_types(node))),
        next(_units(node), ""),
        "required" if required else _default(node),
        node.get("description", ""),
    ]
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _default(node: Mapping[str, Any]) -> str:
    value = node.get("default")
    if value is None or isinstance(value, dict):
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _types(node: Mapping[str, Any], keys: str = "keys (see below)") -> Iterator[str]:
    """The types of a key in words; `keys` stands for keys of a model, whose name is {}."""
    for inner in _alternatives(node):
        if "$ref" in inner:
            yield keys.format(inner["$ref"].rpartition("/")[2])
        elif "enum" in inner or "const" in inner:
            values = inner.get("enum", [inner.get("const")])
            yield from (f"`{str(v).lower() if isinstance(v, bool) else v}`" for v in values)
        elif inner.get("type") == "object":
            yield "keys with values"
        elif inner.get("type") == "array":
            item = inner["items"] if "items" in inner else inner["prefixItems"][0]
            yield f"list of {' or '.join(dict.fromkeys(_types(item, keys)))}"
        else:
            yield TYPES[inner["type"]] + _bounds(inner)


def _bounds(node: Mapping[str, Any]) -> str:
    told = [key for key in BOUNDS if node.get(key, TECHNICAL_LIMIT) < TECHNICAL_LIMIT]
    return "".join(f" {BOUNDS[key]} {node[key]:g}" for key in told)


def _units(node: Mapping[str, Any]) -> Iterator[str]:
    for inner in _alternatives(node):
        if "unit" in inner:
            yield inner["unit"]


def _alternatives(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    inner = node.get("anyOf") or node.get("oneOf")
    if inner is None:
        if node.get("type") != "null":
            yield node
        return
    for one in inner:
        yield from _alternatives(one)
