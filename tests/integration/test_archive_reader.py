"""A reader who has nothing but the archive: all is made again, and what was altered is named."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llm_energy.archive.reproduce import compare
from llm_energy.archive.verify import verify_files, verify_results
from llm_energy.results import layout
from tests.integration.archives import archived, unpacked
from tests.integration.workflow import PATIENCE_S

__all__ = ["archived", "unpacked"]

pytestmark = pytest.mark.integration


@pytest.fixture
def copy(unpacked, tmp_path):
    """Such a folder to change."""
    shutil.copytree(unpacked, tmp_path / "nap", ignore=shutil.ignore_patterns("reproduced"))
    return tmp_path / "nap"


def call(folder, *arguments):
    """The one command, without the user's home, Docker or a GPU."""
    return subprocess.run(
        ["./reproduce.sh", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "WORKFLOW_PYTHON": sys.executable, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
    )


def test_nothing_in_it_has_to_be_made_again(unpacked):
    """The specification hashes are those of the results: same configuration, same code."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", "--dry-run"]
    command += ["--cores", "1", "--profile", "workflow/workflow-profile"]
    command += ["--configfile", "campaign.yaml"]
    done = subprocess.run(command, cwd=unpacked, capture_output=True, text=True)
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def reproduced(unpacked):
    """The files that the reader made again, and the output of the command."""
    done = call(unpacked)
    assert done.returncode == 0, done.stdout
    return unpacked / "reproduced/results/nap", done.stdout


def test_a_reader_makes_every_table_and_figure_again(unpacked, reproduced):
    made, printed = reproduced
    assert "4 results: no problem" in printed
    derived = [path for path in made.rglob("*.[cshjp]*") if path.is_file()]
    assert {"measurements.csv", "throughput.svg", "report.html"} <= {p.name for p in derived}
    assert "tables, figures and pages:" in printed
    shipped = unpacked / "results/nap"
    assert compare(shipped, made).problems == []
    assert (made / "summary/measurements.csv").read_bytes() == (
        shipped / "summary/measurements.csv"
    ).read_bytes()


def test_a_table_that_does_not_follow_from_the_raw_data_is_named(reproduced, copy):
    table = copy / "results/nap/summary/experiments.csv"
    table.write_text(table.read_text().replace("nap_batch1", "nap_batch9", 1))
    verdict = compare(copy / "results/nap", reproduced[0])
    (problem,) = verdict.problems
    assert problem.startswith("summary/experiments.csv: ")


def test_verifying_names_every_problem_and_fails(copy):
    first, second, *_ = layout.files(copy / "results/nap", "measurements")
    first.write_text(first.read_text().replace('"cycle": 1', '"cycle": 7'))
    second.unlink()
    done = call(copy, "verify")
    name, gone = (path.relative_to(copy).as_posix() for path in (first, second))
    below = Path(name).relative_to("results/nap").as_posix()
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{name}: changed: its sha256 is not the one in SHA256SUMS",
        f"{gone}: listed in SHA256SUMS, and not there",
        f"{len((copy / 'SHA256SUMS').read_text().splitlines())} files: 2 problems",
        f"{below}: its cycle is 7, its path says 1",
        "3 results: 1 problem",
    ]


def test_a_file_that_was_put_in_later_is_named(copy):
    (copy / "results/nap/failures/x").mkdir(parents=True)
    (copy / "results/nap/failures/x/cycle-01.attempt-1.json").write_text("{}")
    (problem,) = verify_files(copy).problems
    assert problem == "results/nap/failures/x/cycle-01.attempt-1.json: not listed in SHA256SUMS"


def rewritten(change):
    def apply(_folder, path):
        result = json.loads(path.read_text())
        change(result)
        path.write_text(json.dumps(result))

    return apply


def requests_of(folder, path):
    return folder / json.loads(path.read_text())["side_files"]["requests"]["path"]


ALTERED = {
    "another schema": (
        rewritten(lambda r: r.update(watts=3)),
        "not a result: watts",
    ),
    "another specification": (
        rewritten(lambda r: r["spec"].update(protocol=99)),
        "its hash of its spec is ",
    ),
    "another throughput": (
        rewritten(lambda r: r.update(output_tokens_per_second=1e6)),
        "its throughput × duration is not its count of output tokens",
    ),
    "other tokens": (
        rewritten(
            lambda r: (
                r["tokens"].update(output=2 * r["tokens"]["output"]),
                r.update(output_tokens_per_second=2 * r["output_tokens_per_second"]),
            )
        ),
        "its requests give tokens.output ",
    ),
    "no requests": (
        lambda folder, path: requests_of(folder, path).unlink(),
        "is not there",
    ),
    "other requests": (
        lambda folder, path: requests_of(folder, path).write_bytes(b"PAR1"),
        "was changed after it was measured",
    ),
}


CHANGED = "it was changed after it was written: its checksum does not fit"


@pytest.mark.parametrize("case", ALTERED)
def test_a_result_that_is_not_what_it_says_is_named(copy, case):
    alter, expected = ALTERED[case]
    folder = copy / "results/nap"
    assert verify_results(folder).problems == []
    path = next(layout.files(folder, "measurements"))
    alter(folder, path)
    problems = verify_results(folder).problems
    name = path.relative_to(folder).as_posix()
    assert all(problem.startswith(name) for problem in problems)
    assert expected in problems[0]
    assert problems[1:] in ([], [f"{name}: {CHANGED}"])
