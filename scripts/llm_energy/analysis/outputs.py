"""The outputs that results keep: repetition in them, and agreement with a reference.

Many servers tell how many tokens they made, and not which: `UNKNOWN_ID` stands for those. It tells
nothing of an output.
"""

from collections.abc import Sequence

from llm_energy.results.result import Result
from llm_energy.stats.intervals import known_mean
from worker.engines.base import UNKNOWN_ID

NGRAM = 4

REPEATED_LIMIT = 0.5
"""Share of repeated 4-grams above which an output is suspect: most of it was there before. Greedy
decoding repeats itself more than people do, so the bound is wide. Provisional."""


def repeated_share(ids: Sequence[int]) -> float | None:
    """Share of 4-grams that occurred before; None where there is none.

    1 − (different 4-grams) / (4-grams): seq-rep-4 of Welleck et al., ICLR 2020.
    """
    every = (tuple(ids[i : i + NGRAM]) for i in range(len(ids) - NGRAM + 1))
    grams = [gram for gram in every if UNKNOWN_ID not in gram]
    return 1.0 - len(set(grams)) / len(grams) if grams else None


def equal_share(ids: Sequence[int], reference: Sequence[int]) -> float | None:
    """Share of tokens before the first that differs from the reference, over the shorter length.

    Greedy outputs of other kernels, precisions or batches part at a near tie and never meet again:
    tokens after the first divergence carry no information. None where no token is known of both.
    """
    pairs = list(zip(ids, reference, strict=False))
    known = [(index, pair) for index, pair in enumerate(pairs) if UNKNOWN_ID not in pair]
    if not known:
        return None
    return next((index for index, (one, other) in known if one != other), len(pairs)) / len(pairs)


def output_repetition(result: Result) -> float | None:
    """Share of repeated 4-grams, mean over the outputs that the result keeps."""
    return known_mean(repeated_share(kept.output_ids) for kept in result.sample_outputs)


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
        known_mean(
            equal_share(kept.output_ids, known.get((result.prompts.sha256, kept.prompt_index), ()))
            for kept in result.sample_outputs
        )
        for result in results
    ]
