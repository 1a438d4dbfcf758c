"""Comparisons of experiments whose throughputs are given."""

from tests.llm_energy import make_results

from llm_energy.analysis.comparisons import compare_all
from llm_energy.analysis.measurements_table import measurements_table
from llm_energy.results.metrics import THROUGHPUT

A = [0.50, 0.52, 0.49, 0.51, 0.53]
B = [0.90, 0.95, 0.89, 0.92, 0.96]
BASE, OTHER = "base", "other"


def side(name, values, *, cycles=None, session=None, uuids=(), **options):
    """Results of one experiment with these throughputs."""
    for cycle, value in zip(cycles or range(1, 6), values, strict=False):
        made = make_results.make_result(
            name, cycle=cycle, output_tokens_per_second=value, metered=True, **options
        )
        changes = {"device_uuids": list(uuids)} | ({"session_id": session} if session else {})
        yield made.model_copy(update={"environment": made.environment.model_copy(update=changes)})


def compared(*sides, contrasts=(), reference=BASE, margin=0.02):
    table = measurements_table([result for results in sides for result in results])
    return compare_all(table, reference=reference, contrasts=contrasts, margin=margin)


def throughput(*sides, **options):
    """The one comparison of throughput."""
    (found,) = [c for c in compared(*sides, **options)[0] if c.metric == THROUGHPUT.column]
    return found
