"""Results that are read to share what is equal in them, and let go before they are compared."""

import weakref

from tests.llm_energy import make_results
from tests.llm_energy.make_results import make_campaign

from llm_energy.analysis import aggregate
from llm_energy.analysis.planned_results import read_planned
from llm_energy.results.result import read_result


def test_what_is_read_together_is_what_each_file_says(tmp_path):
    planned = make_campaign(tmp_path, metered=True)
    read = read_planned(tmp_path, [*planned, "measurements/0123456789ab/cycle-01.json"])
    assert list(read.found) == list(planned)
    for path, result in read.found.items():
        assert result == read_result(tmp_path / path)
    assert [(gap.path, gap.reason) for gap in read.missing] == [
        ("measurements/0123456789ab/cycle-01.json", "not measured")
    ]
    assert read.unusable == []


def test_results_of_one_experiment_share_what_is_equal(tmp_path):
    found = list(read_planned(tmp_path, make_campaign(tmp_path)).found.values())
    by_spec = {result.spec_hash: result for result in found}
    assert len(by_spec) < len(found)
    for result in found:
        assert result.spec is by_spec[result.spec_hash].spec
        assert result.settings is by_spec[result.spec_hash].settings


def test_no_result_is_kept_while_experiments_are_compared(tmp_path, monkeypatch):
    read, kept = [], []

    def reading(*arguments):
        planned = read_planned(*arguments)
        read.extend(map(weakref.ref, planned.found.values()))
        return planned

    def comparing(*arguments, **options):
        kept.append(sum(reference() is not None for reference in read))
        return compare_all(*arguments, **options)

    compare_all = aggregate.compare_all
    monkeypatch.setattr(aggregate, "read_planned", reading)
    monkeypatch.setattr(aggregate, "compare_all", comparing)
    planned = make_campaign(tmp_path, metered=True)
    aggregate.aggregate(tmp_path, planned=planned, design=make_results.design())
    assert len(read) == len(planned)
    assert kept == [0]
