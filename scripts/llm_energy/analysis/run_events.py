"""What happened to backends and to the Docker engine in a run, in words."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from llm_energy.results.codes import FAILURES

SENTENCES = {
    "backend_discarded": "Backend {backend} was ended, since it could no longer be trusted "
    "({reason}); the next measurement that needed it started another.",
    "backend_given_up": "Backend {backend} was given up for the rest of the run, since it had "
    "failed too often in a row; the last time, {reason}. Its remaining measurements were refused.",
    "backend_lost": "Backend {backend} failed and could not be started again: {reason}.",
    "backend_recreated": "Backend {backend} was made anew, since a restart was not enough: "
    "{reason}.",
    "backend_replaced": "Backend {backend} was replaced by a new one when it was needed: {reason}.",
    "backend_restarted": "Backend {backend} was restarted: {reason}.",
    "container_out_of_memory": "In the container of backend {backend} a process was killed because "
    "the container’s memory limit was reached.",
    "docker_unreachable": "The Docker engine could not be reached for a while: {reason}. Its "
    "containers were looked after again once it answered.",
}
"""Kind of event -> what happened, with `{fact}` for what its record says."""


def sentence(event: Mapping[str, Any]) -> str:
    """What one record of an event says; a kind without words is told by its facts."""
    facts = {key: str(value) for key, value in event.items() if key not in ("time", "kind")}
    words = SENTENCES.get(event["kind"])
    if words is None:
        return ", ".join(f"{key} {facts[key]}" for key in sorted(facts))
    if "reason" in facts:
        reason = facts["reason"].strip().rstrip(".")
        facts["reason"] = FAILURES.get(reason, reason)
    return words.format_map(defaultdict(lambda: "not recorded", facts))
