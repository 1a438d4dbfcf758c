"""A place in which no job could start is refused before anything else."""

import sys
from pathlib import Path

import pytest

from llm_energy.workflow.opening import refuse_no_folder, refuse_no_work_folder, refuse_place

ROOT = Path("/home/alice/energy")


@pytest.mark.parametrize("folder", ["my energy", "it's", "$energy", "{energy}"])
def test_an_interpreter_that_a_shell_would_not_start_is_refused(folder, monkeypatch):
    monkeypatch.setattr(sys, "executable", f"/home/alice/{folder}/.venv/bin/python")
    with pytest.raises(SystemExit, match=r"jobs cannot start below a path with `.`; move the"):
        refuse_place(ROOT)


def test_a_checkout_in_braces_is_refused_and_one_with_spaces_is_not(monkeypatch):
    """Snakemake quotes the path of a script, and takes that of an environment for a format."""
    monkeypatch.setattr(sys, "executable", "/opt/venv/bin/python3.11")
    refuse_place(Path("/home/alice/my energy"))
    with pytest.raises(SystemExit, match=r"^/home/alice/\{energy\}: "):
        refuse_place(Path("/home/alice/{energy}"))


PLACES = ["results/nap", "results/nap/runs", "results/nap/measurements"]
PLACES += ["results/nap/measurements/0123456789ab", "results/nap/anchors/0123456789ab"]


@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_folder_where_results_lie_is_refused_by_name(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    path = Path(place)
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(SystemExit, match=rf"^{place} is a file, no folder: .*; move or remove it$"):
        refuse_no_folder(Path("results/nap"))
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(SystemExit, match=rf"^{place} is a link to nowhere, which is no folder: "):
        refuse_no_folder(Path("results/nap"))


@pytest.mark.parametrize(
    "place", ["logs", "logs/nap", ".cache", ".cache/prompts", ".cache/runs", ".cache/locks"]
)
def test_what_is_no_folder_where_logs_and_inputs_lie_is_refused_by_name(
    tmp_path, monkeypatch, place
):
    """Snakemake would end in a traceback when the first job begins."""
    monkeypatch.chdir(tmp_path)
    path = Path(place)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(SystemExit, match=rf"^{place} is a file, no folder: .*; move or remove it$"):
        refuse_no_work_folder("nap")
    path.unlink()
    path.mkdir()
    refuse_no_work_folder("nap")


@pytest.mark.parametrize(
    "name", ["measurements/0123456789ab/cycle-01.json", "summary/summary.json", "report.html"]
)
def test_a_link_to_nowhere_is_refused_by_name_and_not_made_again(tmp_path, monkeypatch, name):
    """As in a clone whose large files were not fetched."""
    monkeypatch.chdir(tmp_path)
    path, content = Path("results/nap", name), tmp_path / "content"
    path.parent.mkdir(parents=True)
    path.symlink_to(content)
    with pytest.raises(SystemExit, match=rf"^{path} is a link to {content}, which is not there"):
        refuse_no_folder(Path("results/nap"))
    content.touch()
    refuse_no_folder(Path("results/nap"))


def test_what_somebody_left_beside_results_is_no_matter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results/nap/measurements").mkdir(parents=True)
    for name in ("notes.txt", ".DS_Store", "measurements/.DS_Store"):
        Path("results/nap", name).touch()
    for name in ("measurements/mine", ".#report.html"):  # the second as editors leave it
        Path("results/nap", name).symlink_to("nowhere")
    refuse_no_folder(Path("results/nap"))
