"""Fixtures for tests of what comes after measuring."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import make_results
import pytest

from llm_energy.aggregate import aggregate
from llm_energy.summary import Summary


@pytest.fixture
def summary_of(tmp_path: Path) -> Callable[..., Summary]:
    """Makes a synthetic campaign (see `make_results.make_campaign`) and aggregates it."""

    def make(**options: Any) -> Summary:
        told = {"reference": options.pop("reference", make_results.REFERENCE)}
        told |= {key: options.pop(key) for key in ("assumptions",) if key in options}
        planned = make_results.make_campaign(tmp_path, **options)
        design = make_results.design(cycles=options.get("cycles", 3), **told)
        return aggregate(tmp_path, planned=planned, design=design)

    return make
