"""Embedded fonts: the same bytes as when each is read anew."""

import pytest
from fontTools import subset
from matplotlib import font_manager
from matplotlib.backends._backend_pdf_ps import font_as_file, get_glyphs_subset

from llm_energy.report import fonts


def embedded(weight: str, glyphs: range) -> bytes:
    path = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans", weight=weight))
    with get_glyphs_subset(path, set(glyphs)) as made:
        return font_as_file(made.font).getvalue()


@pytest.mark.parametrize("weight", ["normal", "bold"])
@pytest.mark.parametrize("glyphs", [range(36, 90), range(700, 900)])
def test_a_font_that_was_read_before_is_embedded_as_one_that_is_read_anew(
    monkeypatch, weight, glyphs
):
    fonts.embed_quickly()
    quick = [embedded(weight, glyphs) for _ in range(2)]
    monkeypatch.setattr(subset, "load_font", fonts.load_font)
    dropped = [*subset.Options._drop_tables_default, *fonts.SHAPING[:-1]]
    monkeypatch.setattr(subset.Options, "_drop_tables_default", dropped)
    assert quick == [embedded(weight, glyphs)] * 2
