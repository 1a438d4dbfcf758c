"""A server that its first load showed to be unfit is not loaded again in the same run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_energy.backends.runtime import BackendError
from llm_energy.measurement import unfit_servers
from llm_energy.runs.run import Run

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="c", results=Path("results/c"), scripts=SCRIPTS)
    yield run
    run.remove()


def test_one_load_is_enough(run: Run) -> None:
    unfit_servers.refuse(run, "k1")
    unfit_servers.note(run, "k1", BackendError("server_unfit", "it ends early; give exact_length"))
    with pytest.raises(BackendError, match=r"give exact_length \(found before in this run") as e:
        unfit_servers.refuse(run, "k1")
    assert e.value.reason == "server_unfit"
    unfit_servers.note(run, "k1", e.value)
    with pytest.raises(BackendError) as again:
        unfit_servers.refuse(run, "k1")
    assert str(again.value) == str(e.value)  # whatever is refused is told once


def test_a_server_that_is_started_otherwise_is_tried(run: Run) -> None:
    unfit_servers.note(run, "k1", BackendError("server_unfit", "a cache"))
    unfit_servers.refuse(run, "k2")


@pytest.mark.parametrize("reason", ["server_overloaded", "server_ended", "backend_lost"])
def test_what_may_go_well_another_time_is_tried_again(run: Run, reason: str) -> None:
    unfit_servers.note(run, "k1", BackendError(reason, "later"))
    unfit_servers.refuse(run, "k1")
