"""The trade-off figure: every point labelled, none cut off, and only what pairs show is shown."""

import math
import re

import pytest
from matplotlib.text import Annotation

from llm_energy.analysis.summary import FrontPoint
from llm_energy.report import labels, pareto_figure
from llm_energy.report.pareto_figure import trade_off, verdict
from llm_energy.report.style import PAGE_INCHES, rendered, styled

MANY = {f"many_batch{n:02}": {"batch_size": n} for n in range(1, 15)}


def drawn(summary):
    with styled(PAGE_INCHES):
        drawing = trade_off(summary)
        rendered(drawing)
    return drawing


def labels_of(axes):
    return [child for child in axes.get_children() if isinstance(child, Annotation)]


@pytest.mark.parametrize("metered", [True, False])
def test_energy_or_throughput_stands_against_latencies(summary_of, metered):
    drawing = drawn(summary_of(metered=metered))
    upright = "Energy per output token" if metered else "Throughput"
    assert drawing.title == f"{upright} against time to first token and inter-token latency"


def test_every_point_has_its_label_and_labels_do_not_overlap(summary_of):
    drawing = drawn(summary_of(metered=True))
    for axes in drawing.canvas.axes:
        labels = labels_of(axes)
        assert sorted(label.get_text() for label in labels) == [
            "batch1 out16",
            "batch1 out48",
            "batch4 out16",
            "batch4 out48",
        ]
        boxes = [label.get_window_extent() for label in labels]
        for index, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[index + 1 :])


CLOSE = {
    f"close_batch{batch}_out{length}": {"batch_size": batch, "output_tokens": length}
    for batch in (2, 4, 8)
    for length in (16, 48, 128)
}


def test_a_label_is_nearest_to_the_point_that_it_names(summary_of):
    drawing = drawn(summary_of(metered=True, experiments=CLOSE, reference=None))
    for axes in drawing.canvas.axes:
        points = {each.get_text(): axes.transData.transform(each.xy) for each in labels_of(axes)}
        assert len(points) == 9
        for label in labels_of(axes):
            left, low, right, top = label.get_window_extent().extents
            away = {
                name: math.hypot(max(left - x, x - right, 0), max(low - y, y - top, 0))
                for name, (x, y) in points.items()
            }
            assert min(away, key=away.__getitem__) == label.get_text()


def test_many_points_get_their_ranks(summary_of):
    with styled(PAGE_INCHES):
        drawing = trade_off(summary_of(metered=True, experiments=MANY, reference=None))
        svg = rendered(drawing).svg
    named = dict(re.findall(r'data-point="([^"]+)".*?<text[^>]*>(\d+)</text>', svg))
    assert len(named) == 14  # the page leads from each to its power
    assert sorted(named.values(), key=int) == [str(rank) for rank in range(1, 15)]
    texts = {label.get_text() for label in labels_of(drawing.canvas.axes[0])}
    assert texts == {str(rank) for rank in range(1, 15)}
    assert "Numbers count from the best energy per output token" in drawing.caption


def test_of_too_many_points_the_best_get_their_ranks(summary_of, monkeypatch):
    for module in (labels, pareto_figure):
        monkeypatch.setattr(module, "MOST_NUMBERS", 10)
    drawing = drawn(summary_of(metered=True, experiments=MANY, reference=None))
    for axes in drawing.canvas.axes:
        texts = {label.get_text() for label in labels_of(axes)}
        assert texts == {str(rank) for rank in range(1, 11)}
    assert "Numbers count from the best energy per output token, up to 10." in drawing.caption


def test_no_marker_is_clipped_and_no_line_joins_points(summary_of):
    for axes in drawn(summary_of(metered=True)).canvas.axes:
        assert axes.lines
        assert all(line.get_linestyle() == "None" for line in axes.lines)
        assert not any(line.get_clip_on() for line in axes.lines)


def test_the_caption_names_only_kinds_that_are_drawn(summary_of):
    drawing = drawn(summary_of(metered=True))
    kinds = set(drawing.data["pareto"])
    assert ("Grey diamonds" in drawing.caption) == ("dominated" in kinds)
    assert ("Orange squares" in drawing.caption) == ("undecided" in kinds)
    assert "intervals" not in drawn(summary_of(metered=True, cycles=1)).caption


def test_a_place_on_the_front_that_pairs_do_not_show_is_undecided():
    point = {"experiment": "a", "device_model": "d", "power_limit_watts": None}
    point |= {"status": "non_dominated", "dominated_by": None}
    assert verdict(FrontPoint(**point, certain=True)) == "non_dominated"
    assert verdict(FrontPoint(**point, certain=False)) == "undecided"


def test_each_column_of_warm_ups_has_numbers_at_its_foot(summary_of):
    from llm_energy.report.traces import warmup

    with styled(PAGE_INCHES):
        drawing = warmup(summary_of())
        svg = rendered(drawing).svg
    assert len(drawing.canvas.axes) == 6
    assert len(re.findall(r">2</text>", svg)) >= 3
    assert "Dashed" not in drawing.caption
