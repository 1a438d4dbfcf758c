"""Check the containers of a campaign that run already."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from llm_energy.backends.runtime import BackendError, BackendRecord
from llm_energy.campaign.campaign import Campaign
from llm_energy.inputs.declared_backends import declare_backend
from llm_energy.preflight.asking import RefusalError, ask_all, reason
from llm_energy.preflight.findings import Finding, problems
from llm_energy.system.locks import HeldError

DEADLINE_S = 60.0
"""For a client to start in a container and for its supervisor to answer."""


def container_findings(campaign: Campaign, backends: Iterable[str]) -> Iterator[Finding]:
    """Yield one finding for each of these backends whose container runs already."""
    names = [name for name in backends if campaign.backends[name].attached is not None]
    if not names:
        return
    checks: dict[str, Callable[[], BackendRecord]] = {
        name: partial(_check, campaign, name) for name in names
    }
    for name, answer in ask_all(checks, deadline_s=DEADLINE_S).items():
        subject, container = f"container {name}", campaign.backends[name].attached
        if isinstance(answer, BackendRecord):
            message = f"{container} runs in {answer.container_engine} as the campaign describes it"
            yield Finding("ok", subject, message)
        else:
            yield Finding("problem", subject, reason(answer))


def container_obstacles(campaign: Campaign, backends: Iterable[str]) -> list[str]:
    """Return one line for each of these backends whose container cannot be measured in."""
    return [finding.message for finding in problems(container_findings(campaign, backends))]


def hold_containers(campaign: Campaign, backends: Iterable[str]) -> list[int]:
    """Hold the containers of backends that run already for one run, until the returned
    descriptors are closed.

    Raises:
        BackendError: another run holds one.
    """
    held: list[int] = []
    for name in sorted(backends):
        if (container := campaign.backends[name].attached) is None:
            continue
        from llm_energy.backends.attached_runtime import hold_container  # imports Docker

        try:
            held.append(hold_container(container))
        except HeldError as error:
            for descriptor in held:
                os.close(descriptor)
            key = f"backends.{name}.environment.container"
            message = f"{key}: another campaign measures in {container} ({error}); wait for its end"
            raise BackendError("backend_refused", message) from error
    return held


def _check(campaign: Campaign, name: str) -> BackendRecord:
    from llm_energy.backends.attached_runtime import AttachedRuntime

    declared = declare_backend(campaign, name, campaign.experiments)
    try:
        for descriptor in hold_containers(campaign, [name]):
            os.close(descriptor)
        return AttachedRuntime().checked(declared, campaign=campaign.name)
    except (BackendError, OSError) as error:
        raise RefusalError(str(error)) from error
