"""Results of one specification hold measurements of the same token ids."""

import json
from dataclasses import dataclass

from llm_energy.measurement.job import Job
from llm_energy.results.layout import ANCHORS, MEASURED, cycles_of
from llm_energy.runs.run import Run
from llm_energy.system.errors import PromptError


@dataclass(frozen=True)
class CheckedResults:
    """The results of one specification that a run has read, and that have the same token ids."""

    sha256: str
    """Checksum of the token ids."""
    results: tuple[str, ...]
    """Paths relative to the campaign's results folder."""


def refuse_other_token_ids(run: Run, job: Job, sha256: str) -> None:
    """Refuse to add a measurement of other token ids to those of the same specification.

    A run reads each result once: it writes no result over another one.

    Raises:
        PromptError: another tokenizer, or an older version of the workflow, made the set of those.
    """
    results, record = run.results, f"token_ids/{job.experiment.spec_hash}"
    before = run.find(record, CheckedResults)
    checked = set(before.results) if before is not None and before.sha256 == sha256 else set()
    read = set()
    for kind in (MEASURED, ANCHORS):
        for path in cycles_of(results, job.experiment.spec_hash, kind):
            place = path.relative_to(results).as_posix()
            if place in checked:
                continue
            try:
                known = json.loads(path.read_bytes())["prompts"]["sha256"]
            except (OSError, ValueError, KeyError, TypeError):
                continue  # `verify` and the report name a damaged result
            if known != sha256:
                raise PromptError(
                    f"the prompts {job.experiment.prompts} have other token ids (sha256 "
                    f"{sha256[:12]}) than those of {place} ({known[:12]}), a result of the same "
                    "specification: measure all of them again with `--forcerun measure --config "
                    "remeasure=true`"
                )
            read.add(place)
    if read:
        run.write(record, CheckedResults(sha256, tuple(sorted(checked | read))))
