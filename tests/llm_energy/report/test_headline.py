"""The answer first: the best experiment by each metric, and how sure that is."""

from dataclasses import replace

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.make_results import put_result

from llm_energy.analysis.aggregate import aggregate
from llm_energy.report.estimates import estimates
from llm_energy.report.headline import (
    console,
    dependence_notices,
    energy_notice,
    key_figures,
    notices,
    ratio_text,
    token_notice,
    warmup_notice,
)
from llm_energy.report.methods import methods
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, THROUGHPUT
from llm_energy.system.files import sha256_of
from llm_energy.system.numbers import interval


def titles(summary):
    return [figure.title for figure in key_figures(summary)]


def test_without_a_meter_speed_leads(summary_of):
    assert titles(summary_of()) == [
        "Highest throughput",
        "Shortest time to first token",
        "Shortest inter-token latency",
    ]


def test_with_a_meter_energy_leads(summary_of):
    assert titles(summary_of(metered=True))[0] == "Least energy per output token"


def test_the_best_experiment_is_named_with_interval_n_and_ratio(summary_of):
    best = key_figures(summary_of())[0]
    assert best.experiment == "batch-by-length_batch4_out48"
    assert best.unit == "tokens/s"
    assert "95 % interval" in best.certainty
    assert best.certainty.endswith("3")
    assert "times batch1 out16" in best.remark
    assert "3 pairs" in best.remark


def test_a_joule_is_quoted_with_repeatability_and_total_by_name(summary_of):
    summary = summary_of(metered=True)
    energy, speed, *_ = key_figures(summary)
    rows = summary.experiments[summary.experiments["metric"] == "joules_per_output_token"]
    row = rows.set_index("experiment").loc[energy.experiment]
    assert energy.certainty.startswith(
        f"95 % intervals: repeatability {interval(row.t_low, row.t_high)}, "
        f"total with the sensor {interval(row.total_low, row.total_high)}"
    )
    assert "total" not in speed.certainty
    assert energy.certainty.replace("\N{NO-BREAK SPACE}", " ") in console(summary)
    assert "(repeatability " in energy.remark
    assert "repeatability" not in speed.remark


def test_without_limits_of_the_sensor_the_total_is_unknown(summary_of):
    energy = make_results.make_result(metered=True).energy
    energy = energy.model_copy(update={"gain_limit_relative": None, "offset_limit_watts": None})
    best = key_figures(summary_of(energy=energy))[0]
    assert "total with the sensor unknown" in best.certainty


def test_between_devices_energies_are_distinguished_by_their_total_intervals(summary_of):
    best = estimates(summary_of(metered=True), JOULES_PER_OUTPUT_TOKEN)[0]
    best = replace(best, low=0.99, high=1.01, total_low=0.9, total_high=1.1)
    next_one = replace(best, low=1.03, high=1.05, total_low=0.94, total_high=1.14)
    assert not best.overlaps(next_one)
    elsewhere = replace(next_one, device_model="another GPU")
    assert best.overlaps(elsewhere)
    assert best.overlaps(replace(elsewhere, total_low=None, total_high=None))
    fast = replace(best, metric=THROUGHPUT)
    assert not fast.overlaps(replace(elsewhere, metric=THROUGHPUT))


def test_one_cycle_claims_no_interval(summary_of):
    best = key_figures(summary_of(cycles=1))[0]
    assert "no interval" in best.certainty
    assert "not distinguishable" in best.remark


def test_a_clear_winner_is_not_called_indistinguishable(summary_of):
    figures = key_figures(summary_of(metered=True))
    assert len(figures) == 4
    assert not [figure for figure in figures if "not distinguishable" in figure.remark]


def test_overlapping_intervals_are_not_a_winner(summary_of):
    twins = {f"twin_{name}": {"engine_options": {"name": name}} for name in ("a", "b")}
    best = key_figures(summary_of(experiments=twins, reference=None))[0]
    assert "not distinguishable from" in best.remark


def test_a_single_experiment_is_the_best_of_nothing(summary_of):
    assert titles(summary_of(experiments={"only": {}}))[0] == "Throughput"


def test_load_modes_are_ranked_apart(tmp_path):
    planned = []
    for position, mode in enumerate(("waves", "closed")):
        result = make_results.make_result(
            mode, position=position, load_mode=mode, settings={"load_mode": mode}
        )
        planned.append(make_results.path_of(result))
        put_result(tmp_path / planned[-1], result)
    summary = aggregate(tmp_path, planned=planned, design=make_results.design(reference=None))
    assert titles(summary)[:2] == ["Throughput (closed)", "Throughput (waves)"]


class TestEnergyNotice:
    def test_no_meter_is_stated_plainly(self, summary_of):
        assert "no power sensor that can be read" in energy_notice(summary_of())

    def test_a_simulated_sensor_must_not_be_quoted(self, summary_of):
        assert "never be quoted" in energy_notice(summary_of(metered=True))

    def test_another_reason_is_reported_with_its_meaning(self, summary_of):
        energy = make_results.NO_METER.model_copy(update={"reason": "counter_reset"})
        assert "went backwards" in energy_notice(summary_of(energy=energy))

    def test_a_real_sensor_needs_no_notice(self, summary_of):
        energy = make_results.make_result(metered=True).energy
        assert energy_notice(summary_of(energy=energy.model_copy(update={"simulated": False}))) is (
            None
        )


class TestTokenNotice:
    """Two models on the same text, which may split it into the same tokens or into others."""

    def summary(self, tmp_path, *, tokens):
        results = []
        for position, name in enumerate(("small", "large")):
            made = make_results.make_result(name, position=position, settings={"model": name})
            spec = made.spec | {"tokenizer": {"sha256": tokens[name]}}
            prompts = made.prompts.model_copy(update={"sha256": tokens[name] * 64})
            changed = {"spec": spec, "spec_hash": sha256_of(spec)[:12], "prompts": prompts}
            result = made.model_copy(update=changed)
            put_result(tmp_path / make_results.path_of(result), result)
            results.append(result)
        planned = [make_results.path_of(result) for result in results]
        return aggregate(tmp_path, planned=planned, design=make_results.design(reference=None))

    def test_tokens_of_several_tokenizers_are_not_the_same_work(self, tmp_path):
        summary = self.summary(tmp_path, tokens={"small": "a", "large": "b"})
        assert "of one tokenizer alone" in token_notice(summary)
        assert token_notice(summary) in console(summary)

    def test_the_same_tokens_need_no_notice(self, tmp_path):
        assert token_notice(self.summary(tmp_path, tokens={"small": "a", "large": "a"})) is None


class TestDependenceNotices:
    def summary(self, tmp_path, factors):
        planned = []
        for cycle, factor in enumerate(factors, start=1):
            made = make_results.make_result(cycle=cycle)
            planned.append(make_results.path_of(made))
            faster = made.model_copy(update={"output_tokens_per_second": 100.0 * factor})
            put_result(tmp_path / planned[-1], faster)
        return aggregate(tmp_path, planned=planned, design=make_results.design(cycles=8))

    def test_cycles_that_depend_on_the_ones_before_are_a_warning(self, tmp_path):
        summary = self.summary(tmp_path, [1.00, 1.01, 1.02, 1.03, 1.04, 1.03, 1.02, 1.01])
        (notice,) = dependence_notices(summary)
        assert notice.startswith("Throughput: cycles depend on the ones before them (lag-1 autoc")
        assert "8 cycles). Intervals of its means are too narrow" in notice
        assert notice in notices(summary)

    def test_cycles_that_do_not_are_none(self, tmp_path):
        summary = self.summary(tmp_path, [1.00, 1.03, 1.01, 1.04, 1.00, 1.02, 1.04, 1.01])
        assert dependence_notices(summary) == []


class TestWarmupNotice:
    """Two measurements of a campaign whose warm-ups were too short to show a steady state."""

    def summary(self, tmp_path, verdicts, *, protocol=3):
        planned = []
        for cycle, (verdict, bound) in enumerate(verdicts, start=1):
            made = make_results.make_result(cycle=cycle, protocol=protocol)
            judged = made.warmup.model_copy(update={"verdict": verdict, "bound": bound})
            planned.append(make_results.path_of(made))
            put_result(tmp_path / planned[-1], made.model_copy(update={"warmup": judged}))
        return aggregate(tmp_path, planned=planned, design=make_results.design(cycles=2))

    def test_one_sentence_says_what_a_whole_campaign_cannot_show(self, tmp_path):
        found = [("no_drift_seen", 0.031), ("undecided", 0.2), ("no_drift_seen", 0.012)]
        summary = self.summary(tmp_path, found)
        assert summary.findings.flags == []
        sentence = (
            "A warm-up of less than 60 s cannot show that a measurement is steady, only whether a "
            "drift of throughput was seen: none in 2 of 3 (within 3.1 %), too much scatter to tell "
            "in 1; slower drifts stay hidden."
        )
        assert warmup_notice(summary).replace("\N{NO-BREAK SPACE}", " ") == sentence
        assert sentence in console(summary)

    def test_a_drift_that_was_seen_is_a_flag_too(self, tmp_path):
        summary = self.summary(tmp_path, [("drift_seen", 0.08), ("drift_seen", 0.015)])
        assert "was seen: some in 2 of 2;" in warmup_notice(summary)
        (flag,) = summary.findings.flags
        assert (flag.code, flag.measurements) == ("not_steady", 1)
        assert flag.example == "throughput: drift seen, bias up to 8.0% (margin 2.0%)"

    def test_other_campaigns_need_no_notice(self, tmp_path):
        assert warmup_notice(self.summary(tmp_path, [("steady", 0.01)])) is None
        assert warmup_notice(self.summary(tmp_path, [("no_drift_seen", 0.01)], protocol=2)) is None


@pytest.mark.parametrize("cycles", [1, 3])
def test_the_console_gets_plain_text(summary_of, cycles):
    text = console(summary_of(cycles=cycles, metered=True))
    assert text.startswith(f"synthetic: {4 * cycles} of {4 * cycles} measurements\n")
    assert text.isascii()
    assert text.endswith("\n")


def test_the_console_says_that_nothing_was_measured(summary_of):
    every = [(name, 1) for name in make_results.EXPERIMENTS]
    assert console(summary_of(cycles=1, missing=every)) == "synthetic: 0 of 4 measurements\n"


def test_a_ratio_of_sides_that_were_measured_apart_says_so(tmp_path):
    planned = []
    for position in range(6):
        name, session = ("base", "monday") if position < 3 else ("other", "tuesday")
        result = make_results.make_result(
            name, cycle=position % 3 + 1, position=position, settings={"dtype": name}
        )
        environment = result.environment.model_copy(update={"session_id": session})
        planned.append(make_results.path_of(result))
        put_result(tmp_path / planned[-1], result.model_copy(update={"environment": environment}))
    design = make_results.design(reference="base")
    summary = aggregate(tmp_path, planned=planned, design=design)
    certainties = {ratio_text(comparison)[1] for comparison in summary.findings.comparisons}
    assert all(text.endswith("no pairs, different sessions") for text in certainties)
    assert "without pairs" in dict(methods(summary))["Statistics"]
