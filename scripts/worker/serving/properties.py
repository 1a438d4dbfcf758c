"""Properties of a live server, read from its own answers."""

import json
from collections.abc import Mapping
from typing import Any

from worker.serving.address import Address, query
from worker.serving.faults import ServerError
from worker.serving.prometheus_text import PLACE, metric_at


def observe(address: Address, properties: Mapping[str, str]) -> dict[str, Any]:
    """Return what a live server tells of itself; None where it does not.

    Args:
        properties: `PATH KEY.KEY...` by name for JSON, such as `/v1/models data.0.max_model_len`;
            `PATH METRIC{LABEL}` for Prometheus' text format.
    """
    answers: dict[str, str] = {}
    found = {}
    for name, place in properties.items():
        path, _, keys = place.partition(" ")
        if path not in answers:
            answers[path] = query_text(address, path)
        if metric := PLACE.fullmatch(keys):
            found[name] = metric_at(answers[path], metric["metric"], metric["label"])
        else:
            found[name] = value_at(json_of(answers[path]), keys)
    return found


def query_text(address: Address, path: str) -> str:
    """Return the answer of a server at `path`; empty where it gives none."""
    try:
        reply = query(address, path)
    except ServerError:
        return ""
    return reply.body.decode(errors="replace") if reply.status == 200 else ""


def json_of(text: str) -> Any:
    """Return the content of a JSON text, None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def value_at(content: Any, keys: str) -> Any:
    """Return the value at dotted keys and indices of a JSON value, None where there is none."""
    for key in keys.split(".") if keys else ():
        if isinstance(content, list) and key.isdecimal() and int(key) < len(content):
            content = content[int(key)]
        elif isinstance(content, dict):
            content = content.get(key)
        else:
            return None
    return content
