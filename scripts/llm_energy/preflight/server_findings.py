"""Check the servers of a campaign: three requests to each that runs already."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from llm_energy.backends.server_config import server_config
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import Experiment
from llm_energy.campaign.server_settings import Attach, Server
from llm_energy.preflight.asking import ask_all, reason
from llm_energy.preflight.findings import Finding, Status
from worker.serving.address import Address, AddressError, listed_models
from worker.serving.dialect import IDS, TEXT, TOKEN_COUNTS, Dialect
from worker.serving.faults import ServerError
from worker.serving.probe import DialectFacts, probe
from worker.serving.properties import observe

DEADLINE_S = 60.0
"""For three requests of a few tokens each; a busy server is no fault."""


def server_findings(campaign: Campaign) -> Iterator[Finding]:
    """Yield what each attached server answered; of a launched one, when it will be tried."""
    used: dict[str, list[Experiment]] = {}
    for experiment in campaign.experiments:
        if experiment.server is not None:
            used.setdefault(experiment.settings.backend, []).append(experiment)
    questions: dict[str, Callable[[], Answers]] = {}
    for backend, experiments in used.items():
        server = experiments[0].server
        if isinstance(server, Attach):
            if server.token_variable is None or os.environ.get(server.token_variable):
                questions[backend] = partial(_try, server, experiments)  # else a finding of its own
        else:
            message = (
                "is launched: three requests try it at its first load, before the warm-up; one "
                "that is unfit, or ends before it is ready, is not loaded again in that run. The "
                "target pilot shows it before"
            )
            yield Finding("note", f"server {backend}", message)
    if not questions:
        return
    answers = ask_all(questions, deadline_s=DEADLINE_S)
    for backend, answer in answers.items():
        server = used[backend][0].server
        assert server is not None
        if isinstance(answer, Answers):
            yield from _model(f"server {backend}", answer.models, server)
            yield from _dialect(f"server {backend}", answer.facts, server)
            yield from _context(f"server {backend}", answer.context_tokens, used[backend])
        else:
            known = isinstance(answer, (ServerError, AddressError))
            message = str(answer) if known else reason(answer)
            yield Finding("problem", f"server {backend}", message)


@dataclass(frozen=True)
class Answers:
    """The answers of one server."""

    facts: DialectFacts
    models: list[str]
    """Names that it lists; none where it does not."""
    context_tokens: Any
    """Its longest context as it reports it; None where it does not."""


def _try(server: Attach, experiments: list[Experiment]) -> Answers:
    token = os.environ[server.token_variable] if server.token_variable else None
    config = server_config(server)
    address = Address.of(server.url, token=token, ca_file=config.ca_file)
    names = _names(address, needed=server.model_name is None)
    facts = probe(
        address,
        Dialect.of(config),
        model=server.model_name or names[0],
        context_tokens=min(e.settings.context_tokens for e in experiments),
    )
    return Answers(facts, names, observe(address, server.properties).get("context_tokens"))


def _names(address: Address, *, needed: bool) -> list[str]:
    """Return the models that a server lists; none where it lists none and that is no fault."""
    try:
        return listed_models(address)
    except ServerError:
        if needed:
            raise
        return []


def _dialect(subject: str, facts: DialectFacts, server: Server) -> Iterator[Finding]:
    """Yield one line for each question about a server's dialect."""
    way = server.token_counts
    known = "an unknown number of" if facts.tokens is None else facts.tokens
    if server.streams:
        counted = f"{facts.counts[way]} of {known} tokens by {way} ({TOKEN_COUNTS[way]})"
        yield Finding("ok", f"{subject}: chunks", counted)
    else:
        whole = f"whole, of {known} tokens: no time to first token, no inter-token latency"
        yield Finding("note", f"{subject}: answers", whole)
    usage = f"none at the end of the {'stream' if server.streams else 'answer'}"
    if facts.usage_tokens is not None:
        usage = f"{facts.usage_tokens} output and {facts.usage_prompt_tokens} prompt tokens"
    status: Status = "note" if facts.usage_tokens is None else "ok"
    sent = {IDS: f"{facts.prompt} token ids were sent", TEXT: "a text was sent"}
    form = sent.get(server.prompt, "a text was sent, which the server wraps in its template")
    yield Finding(status, f"{subject}: usage", f"{usage}; {form}")
    if server.exact_length:
        yield _length(subject, facts)
    cached = "does not report cached prompt tokens: its cache is not known"
    if facts.cached_tokens is not None:
        cached = f"{facts.cached_tokens} prompt tokens of a repeated request came from a cache"
    status = "warning" if facts.cached_tokens is None else "ok"
    yield Finding(status, f"{subject}: cache", cached)
    for fault in facts.faults(Dialect.of(server_config(server))):
        yield Finding("problem", subject, fault)


def _model(subject: str, names: list[str], server: Server) -> Iterator[Finding]:
    """Yield the model that requests name: a server may answer with another one."""
    name = server.model_name or names[0]
    if name not in names:
        listed = ", ".join(names) or "no model"
        message = f"requests name {name}, the server lists {listed}"
        yield Finding("warning", f"{subject}: model", message)
        return
    others = f", one of {len(names)} that it lists" if len(names) > 1 else ""
    yield Finding("ok", f"{subject}: model", f"{name}{others}")


def _context(subject: str, limit: Any, experiments: list[Experiment]) -> Iterator[Finding]:
    needed = max(experiment.settings.context_tokens for experiment in experiments)
    if isinstance(limit, int) and limit < needed:
        message = (
            f"has a context of {limit} tokens, the experiments need {needed}; start it with more, "
            "or lower context_tokens"
        )
        yield Finding("problem", subject, message)


def _length(subject: str, facts: DialectFacts) -> Finding:
    shorter = facts.natural_tokens is not None and facts.natural_tokens < facts.requested
    proof = "and it ends earlier without" if shorter else "whose end of text was not reached"
    length = f"{facts.tokens} of {facts.requested} tokens with exact_length, {proof}"
    return Finding("ok", f"{subject}: length", length)
