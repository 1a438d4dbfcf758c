"""Are the outputs sane? Two plain looks at the token ids that an engine generated."""

from collections.abc import Sequence

NGRAM = 4

REPEATED_LIMIT = 0.5
"""Share of repeated 4-grams above which an output is suspect: most of it was there before. Greedy
decoding repeats itself more than people do, so the bound is wide. Provisional."""


def repeated_share(ids: Sequence[int]) -> float | None:
    """Share of 4-grams that occurred before; None where there is none.

    1 − (different 4-grams) / (4-grams): seq-rep-4 of Welleck et al., ICLR 2020.
    """
    grams = [tuple(ids[i : i + NGRAM]) for i in range(len(ids) - NGRAM + 1)]
    return 1.0 - len(set(grams)) / len(grams) if grams else None


def equal_share(ids: Sequence[int], reference: Sequence[int]) -> float | None:
    """Share of tokens before the first that differs from the reference, over the shorter length.

    Greedy outputs of other kernels, precisions or batches part at a near tie and never meet again:
    what comes after the first divergence says nothing. None where a side is empty.
    """
    length = min(len(ids), len(reference))
    if not length:
        return None
    pairs = enumerate(zip(ids, reference, strict=False))
    return next((index for index, (one, other) in pairs if one != other), length) / length
