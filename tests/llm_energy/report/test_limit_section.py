"""Savings and costs of power limits, in sentences, a table and a figure."""

import pytest

from llm_energy.analysis.limit_effects import SHOWN, knee, limit_effects
from llm_energy.analysis.summary import Comparison, Findings
from llm_energy.report.limit_section import by_limit, limit_sentences, limits_table
from llm_energy.report.style import COLUMN_INCHES, PAGE_INCHES, rendered, styled

FACTOR = "gpu.power_limit_watts.of_default"


def comparison(level, metric, ratio, half_width=0.01, **changes):
    fields = {
        "experiment": f"x_limit{level}",
        "base": "x_limit1",
        "metric": metric,
        "factor": FACTOR,
        "level": str(level),
        "base_level": "1",
        "pairs": 5,
        "ratio": ratio,
        "low": ratio - half_width,
        "high": ratio + half_width,
        "simultaneous_low": ratio - half_width,
        "simultaneous_high": ratio + half_width,
        "p_value": 0.01,
        "p_value_holm": 0.01,
        "family": 3,
        "verdict": "different",
        "marks": [],
        "sentence": "",
    }
    return Comparison(**(fields | changes))


def at(level, energy, throughput):
    yield comparison(level, "joules_per_output_token", energy)
    yield comparison(level, "output_tokens_per_second", throughput)


COMPARISONS = [
    *at(0.5, 0.80, 0.75),
    *at(0.7, 0.82, 0.965),
    *at(0.85, 0.90, 0.995),
    comparison(4, "joules_per_output_token", 0.5, factor="batch_size"),
]


class Summary:
    """The part of a summary that is read."""

    def __init__(self, comparisons):
        self.findings = Findings.model_construct(axis_comparisons=comparisons)


@pytest.fixture(autouse=True)
def _names(monkeypatch):
    names = {f"x_limit{level}": f"limit{level}" for level in ("1", "0.85", "0.7", "0.5")}
    monkeypatch.setattr("llm_energy.report.limit_section.short_names", lambda _: names)


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def test_each_level_is_a_sentence_with_its_intervals():
    high, middle, _, found = map(plain, limit_sentences(Summary(COMPARISONS)))
    assert high.startswith("At 85 % of the default limit: -10.0 % energy per token")
    assert middle == (
        "At 70 % of the default limit: -18.0 % energy per token (-19.0 % to -17.0 %), -3.5 % "
        "throughput (-4.5 % to -2.5 %) (limit0.7 against limit1, 100 % of the default limit)."
    )
    assert found.startswith("Knee from limit1 on: 70 % of the default limit")


def test_the_knee_is_the_lowest_level_at_which_throughput_is_shown_to_be_kept():
    (effects,) = limit_effects(COMPARISONS).values()
    assert [effect.level for effect in effects] == [0.85, 0.7, 0.5]
    assert knee(effects).level == 0.7
    wide = comparison(0.7, "output_tokens_per_second", 0.965, half_width=0.05)
    others = [one for one in COMPARISONS if (one.level, one.metric) != (wide.level, wide.metric)]
    (effects,) = limit_effects([*others, wide]).values()
    assert knee(effects).level == 0.85


def test_without_intervals_or_from_a_lower_base_there_is_no_knee():
    few = [one.model_copy(update={"simultaneous_low": None}) for one in COMPARISONS[:6]]
    (effects,) = limit_effects(few).values()
    assert knee(effects) is None
    assert "too few pairs" in limit_sentences(Summary(few))[0]
    low = [one.model_copy(update={"base_level": "0.6"}) for one in COMPARISONS[:6]]
    (effects,) = limit_effects(low).values()
    assert knee(effects) is None
    assert "not the highest level" in limit_sentences(Summary(low))[-1]


def test_the_table_and_the_figure_hold_every_level():
    table = limits_table(Summary(COMPARISONS))
    assert len(table.rows) == 3
    (drawing,) = by_limit(Summary(COMPARISONS))
    assert sorted(drawing.data["level"].unique()) == [0.5, 0.7, 0.85]
    assert drawing.name == "change-by-power-limit-watts-of-default"
    assert drawing.title == "Energy, throughput and latency by share of the default limit"
    assert limits_table(Summary([])) is None
    assert by_limit(Summary([])) == []


def test_energy_with_the_host_stands_beside_the_other_where_it_is_metered():
    assert "host" not in "".join(
        column.title for column in limits_table(Summary(COMPARISONS)).columns
    )
    host = [comparison(0.7, "host_joules_per_output_token", 0.95)]
    sentences = limit_sentences(Summary([*COMPARISONS, *host]))
    assert "-5.0 % energy per token with the host (-6.0 % to -4.0 %)" in plain(sentences[1])
    assert "host" not in sentences[0]
    table = limits_table(Summary([*COMPARISONS, *host]))
    assert [column.title for column in table.columns][3:5] == [
        "Energy per output token",
        "Energy per output token with the host",
    ]
    (drawing,) = by_limit(Summary([*COMPARISONS, *host]))
    assert "host_joules_per_output_token" in set(drawing.data["metric"])


@pytest.mark.parametrize("width", [PAGE_INCHES, COLUMN_INCHES])
def test_no_title_of_a_panel_runs_into_the_next(width):
    every = [comparison(0.7, metric.column, 0.95) for metric in SHOWN]
    with styled(width):
        (drawing,) = by_limit(Summary(every))
        rendered(drawing)
    for axes in drawing.canvas.axes:
        if axes.get_visible():
            title, box = axes.title.get_window_extent(), axes.get_window_extent()
            left = axes._left_title.get_window_extent()
            assert max(title.x1, left.x1) <= box.x1 + 0.12 * box.width
