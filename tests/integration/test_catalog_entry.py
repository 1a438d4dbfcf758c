"""The workflow as Snakemake's catalog and its tools start it: workflow/Snakefile, in .test."""

import subprocess

import pytest
import yaml

from tests.integration.workflow import PATIENCE_S, ROOT, SNAKEMAKE, Tree, finished

pytestmark = [pytest.mark.integration, pytest.mark.engine]

ENTRY = ["--snakefile", "workflow/Snakefile", "--directory", ".test"]


def snakemake(tree: Tree, *arguments: str) -> str:
    done = subprocess.run(
        [*SNAKEMAKE, *ENTRY, *arguments],
        cwd=tree.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def measured_test(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tree, str]:
    """A checkout that measured .test, with engine and model of this one; and what it printed."""
    tree = Tree.create(tmp_path_factory.mktemp("entry") / "tree")
    cache = tree.folder / ".test" / ".cache"
    cache.mkdir()
    for part in ("environments", "models"):
        (ROOT / ".cache" / part).mkdir(parents=True, exist_ok=True)
        (cache / part).symlink_to(ROOT / ".cache" / part)
    return tree, snakemake(tree)


def test_it_measures_the_campaign_of_its_directory_and_reports(measured_test):
    tree, printed = measured_test
    assert len(finished(printed)) == 4
    assert (tree.folder / ".test/results/test/report.html").stat().st_size > 0
    assert not (tree.folder / "results/smollm2-cpu").exists()


def test_again_it_has_nothing_to_do(measured_test):
    assert "Nothing to be done" in snakemake(measured_test[0])


def test_it_makes_the_report_that_is_given_to_the_catalog(measured_test):
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["report"] is True
    snakemake(measured_test[0], "--report", "report.zip")
    assert (measured_test[0].folder / ".test/report.zip").stat().st_size > 0


MODULE = """
module energy:
    snakefile: "Snakefile"
    config: config

use rule * from energy as energy_*

import pandas

rule mine:
    default_target: True
    input: rules.energy_all.input
"""
HOOKS = "".join(f"{hook}: energy.{hook}()\n" for hook in ("onstart", "onsuccess", "onerror"))


def test_a_workflow_that_uses_it_as_a_module_runs_its_hooks_and_has_its_own_pandas(ready):
    (ready.folder / "mine.smk").write_text(MODULE + HOOKS)
    printed = ready.run("--snakefile", "mine.smk", check=True).stdout
    assert len(finished(printed)) == 4
    assert "  report   tables, figures, page\n" in printed
    assert "Report: results/nap/report.html" in printed
    assert ready.runs() == []


def test_without_its_hooks_the_module_names_their_three_lines(ready):
    (ready.folder / "mine.smk").write_text(MODULE)
    done = ready.run("--snakefile", "mine.smk")
    assert done.returncode != 0
    for hook in ("onstart", "onsuccess", "onerror"):
        assert f"`{hook}: energy.{hook}()`" in done.stdout
        assert f"{hook}: energy.{hook}()\n" in (ROOT / "config/README.md").read_text()
