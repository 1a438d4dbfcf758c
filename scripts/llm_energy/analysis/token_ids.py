"""Results of one specification that were measured with other token ids than its first one."""

from collections.abc import Iterable, Iterator

from llm_energy.results.result import Result


def with_other_token_ids(results: Iterable[Result]) -> Iterator[tuple[Result, Result]]:
    """Yield each result whose prompts are not those of the first of its specification, with it.

    A mean over both would be one of two workloads. The measuring job refuses to add such a result;
    older versions of the workflow did not.
    """
    first: dict[str, Result] = {}
    for result in sorted(results, key=lambda r: r.started):
        earliest = first.setdefault(result.spec_hash, result)
        if earliest.prompts.sha256 != result.prompts.sha256:
            yield result, earliest
