"""Servers as engines: what they leave unknown, and the flags that say so."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from llm_energy.measurement.job import Job, Observation
from llm_energy.results.parts import Flag
from worker.serving.address import Address
from worker.serving.dialect import CHAT, RETOKENISED

SHARED_CHUNKS = 0.01
"""Share of tokens that came together with others, from which on it is flagged."""


def engine_version(job: Job, seen: Observation) -> str:
    """Return the version of the engine: of its environment, and as a live server reports it.

    An attached server is none of the environment that its client runs in.
    """
    engine, own = job.experiment.engine, seen.environment.engine_version
    if engine.server is None or seen.loaded is None:
        return own
    reported: str = seen.loaded["engine_version"]
    return reported if engine.attached else f"{reported} ({own})"


def reason_without_energy(job: Job) -> str | None:
    """Return why the energy of an attached server is not known; None where it may be."""
    engine = job.experiment.engine
    if engine.server is None or engine.server.url is None:
        return None
    if job.experiment.device == "gpu":
        return None if engine.server.gpus else "attached_gpus_unknown"
    return None if Address.of(engine.server.url).is_loopback else "attached_elsewhere"


def flags(job: Job, seen: Observation, requests: Sequence[Mapping[str, Any]]) -> list[Flag]:
    """Return the flags of a server."""
    engine = job.experiment.engine
    if engine.server is None:
        return []
    found = []
    observed = (seen.loaded or {}).get("observed", {})
    if engine.attached:
        known = {name: observed.get(name) for name in ("address", "model", "version")}
        words = ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)
        found.append(Flag(code="attached", message=words))
    if engine.server.prefix_cache != "off":
        message = "the server's cache of prompts was not switched off by this workflow"
        found.append(Flag(code="prefix_cache_unknown", message=message))
    if engine.server.prompt == CHAT:
        more = observed.get("chat_template_tokens")
        words = "an unknown number of" if more is None else more
        message = f"the server's template adds {words} tokens to a prompt"
        found.append(Flag(code="prompts_in_chat", message=message))
    if engine.server.token_counts == RETOKENISED:
        message = "tokens were counted in the text of the answers"
        found.append(Flag(code="tokens_retokenised", message=message))
    if not job.experiment.workload.exact_length:
        lengths = [len(request["token_times"]) for request in requests]
        message = (
            f"{min(lengths)} to {max(lengths)} tokens, {sum(lengths) / len(lengths):.1f} on average"
        )
        found.append(Flag(code="natural_length", message=message))
    if not engine.server.streams:
        message = "each answer came whole, and its tokens have the time of its end"
        return [*found, Flag(code="not_streamed", message=message)]
    share = shared_chunks(requests)
    if share > SHARED_CHUNKS:
        message = f"{share:.0%} of the tokens came in one chunk with others"
        found.append(Flag(code="tokens_share_chunks", message=message))
    return found


def shared_chunks(requests: Sequence[Mapping[str, Any]]) -> float:
    """Return the share of tokens that came at the same moment as the one before them."""
    pairs = [pair for request in requests for pair in pairwise(request["token_times"])]
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else 0.0
