"""SVG in fewer bytes: the same drawing."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.report.svg import compact, themed

DRAWN = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="475.2pt" height="10pt"
 viewBox="0 0 475.2 10" xmlns="http://www.w3.org/2000/svg">
 <defs>
  <style type="text/css">*{stroke-linejoin: round}</style>
 </defs>
 <g id="figure_1">
  <path d="M 1.23456 2
L 3.5 4.98765
" clip-path="url(#p1)" style="fill: #123456"/>
  <!-- 0.12345 -->
  <text style="fill: #123456" x="1.23456" y="2" transform="rotate(-0 1.23456 2)">0.12345 J</text>
  <text style="fill: none" transform="rotate(-90 1.23456 2)">up</text>
  <clipPath id="p1"><rect x="0.1" y="0" width="10" height="5"/></clipPath>
 </g>
</svg>
"""


def test_places_are_rounded_and_what_is_written_is_not():
    svg = compact(DRAWN)
    assert 'd="M 1.23 2 L 3.5 4.99"' in svg
    assert ">0.12345 J</text>" in svg
    assert 'viewBox="0 0 475.2 10"' in svg


def test_what_nobody_sees_is_left_out():
    svg = compact(DRAWN)
    assert re.findall(r'id="([^"]*)"', svg) == ["p1"]
    assert "rotate(-0" not in svg
    assert 'rotate(-90 1.23 2)"' in svg
    assert "<!--" not in svg
    assert len(svg) < len(DRAWN)


def test_it_is_still_xml_of_the_same_shape():
    tags = [element.tag for element in ElementTree.fromstring(DRAWN).iter()]
    assert [element.tag for element in ElementTree.fromstring(compact(DRAWN)).iter()] == tags


@given(st.floats(-1e5, 1e5))
def test_no_place_moves_by_more_than_can_be_seen(place):
    svg = compact(f'<svg><path d="M {place:.6f} 0"/></svg>')
    assert float(re.search(r"M (\S+)", svg)[1]) == pytest.approx(place, abs=0.0051)


def test_once_is_enough():
    assert compact(compact(DRAWN)) == compact(DRAWN)


def test_in_a_page_each_style_is_one_class_of_that_figure():
    svg = themed(compact(DRAWN), "f1", colours={"#123456": "ink"})
    assert "style=" not in svg
    assert svg.count('class="f1-0"') == 2
    assert svg.count("fill: var(--figure-ink)") == 1
    assert ".f1-1{fill: none}</style>" in svg
