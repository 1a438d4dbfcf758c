"""Results that are read to share what is equal in them."""

from tests.llm_energy.make_results import make_campaign

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
