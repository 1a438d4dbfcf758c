"""The outputs that results keep, held against each other."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from llm_energy.results.result import Result
from llm_energy.stats.output_sanity import equal_share, repeated_share


def output_repetition(result: Result) -> float | None:
    """Share of repeated 4-grams, mean over the outputs that the result keeps."""
    return _mean(repeated_share(kept.output_ids) for kept in result.sample_outputs)


def equal_shares(results: Sequence[Result], reference: str | None) -> list[float | None]:
    """For each result the share of tokens before its output leaves that of the reference
    experiment, mean over the kept outputs; None where the same prompt has no reference output.

    Prompts are the same where their token ids are. Of several cycles of the reference the first
    counts.
    """
    known: dict[tuple[str, int], Sequence[int]] = {}
    for result in results:
        if result.experiment == reference:
            for kept in result.sample_outputs:
                known.setdefault((result.prompts.sha256, kept.prompt_index), kept.output_ids)
    return [
        _mean(
            equal_share(kept.output_ids, known.get((result.prompts.sha256, kept.prompt_index), ()))
            for kept in result.sample_outputs
        )
        for result in results
    ]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
