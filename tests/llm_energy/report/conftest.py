"""The costly campaign that several tests of the report look at."""

from typing import NamedTuple

import pytest
from tests.llm_energy import make_results
from tests.once import once

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.summary import Summary
from llm_energy.report.figures import draw, drawing_files
from llm_energy.report.style import Figure


class Whole(NamedTuple):
    """A metered campaign with side files, and all files of its figures. Not to be changed."""

    summary: Summary
    figures: list[Figure]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The synthetic campaign with everything, aggregated and drawn once for all tests."""

    def make() -> tuple[Summary, list[Figure]]:
        folder = tmp_path_factory.mktemp("whole")
        planned = make_results.make_campaign(folder, metered=True, side_files=True)
        summary = aggregate(folder, planned=planned, design=make_results.design())
        with drawing_files(summary) as drawn:
            return summary, drawn()

    return Whole(*once(tmp_path_factory, "whole", make))


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[Figure]:
    """The figures of the same campaign without a meter and side files, for the page alone."""

    def make() -> list[Figure]:
        folder = tmp_path_factory.mktemp("plain")
        planned = make_results.make_campaign(folder)
        return draw(aggregate(folder, planned=planned, design=make_results.design()))

    return once(tmp_path_factory, "plain", make)
