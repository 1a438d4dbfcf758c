"""Undocumented parts of Snakemake that the workflow uses exist, with the meaning it expects."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.workflow.snakemake_internals import (
    JOB_TABLE,
    UNIMPORTANT,
    SnakemakeInternals,
)

SNAKEFILE = f"""
import json
import sys
from pathlib import Path

# The folder of this very file, as rules/common.smk finds it.
SEEN = {{"here": workflow.current_basedir.get_path_or_uri(secret_free=True)}}
sys.path.insert(0, {str(SCRIPTS)!r})
from llm_energy.workflow.snakemake_internals import SnakemakeInternals

SNAKEMAKE = SnakemakeInternals(workflow)
SEEN["given"] = [str(path) for path in SNAKEMAKE.given_config_files]
if not SNAKEMAKE.given_config_files:
    configfile: "own.yaml"
SEEN |= {{
    "files": [str(path) for path in SNAKEMAKE.config_files],
    "names_pilot": SNAKEMAKE.names_target("pilot"),
    "in_allocation": SNAKEMAKE.in_allocation,
    "cores": SNAKEMAKE.cores,
}}
SNAKEMAKE.hide_pandas()
SNAKEMAKE.quieten()
SEEN["pandas_hidden"] = sys.modules.get("pandas", sys) is None

def before(wildcards):
    if config.get("force"):
        SNAKEMAKE.force(f"made/{{wildcards.spec}}")
    if config.get("go_on"):
        SNAKEMAKE.keep_going()
    SEEN.setdefault("forced", SNAKEMAKE.forced)
    SEEN.setdefault("forces_none", SNAKEMAKE.forces_none)
    return []

rule pilot:
    input:
        "made/a", "made/b"

rule make:
    input:
        before
    output:
        "made/{{spec}}"
    shell:
        "test ! -e fail-{{wildcards.spec}} && touch {{output}}"

rule keep:
    output:
        update("kept")
    shell:
        "sh keep.sh {{output}}"

rule report:
    output:
        touch("report.html")

SEEN["named"] = SNAKEMAKE.named_targets(["pilot", "make", "nap", "other"])
for name in SEEN["named"]:
    rule:
        name: name
        input: "made/a"

onstart:
    SNAKEMAKE.keep_as_left()
    SEEN["spreads"], SEEN["touches"] = SNAKEMAKE.spreads, SNAKEMAKE.touches
    SEEN["forces_make"] = SNAKEMAKE.forces("make")
    SEEN["jobs"] = sorted(
        [job.rule, *job.outputs, str(job.spec_hash)] for job in SNAKEMAKE.jobs_to_run()
    )

def note_end():
    SNAKEMAKE.show_pandas()
    SEEN["pandas_found"] = "pandas" not in sys.modules
    SEEN["of_make"] = SNAKEMAKE.has_jobs_of(["make"])
    SEEN["of_other"] = SNAKEMAKE.has_jobs_of(["other"])
    Path("seen.json").write_text(json.dumps(SEEN))

onsuccess:
    note_end()

onerror:
    note_end()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    for name in ("own.yaml", "other.yaml"):
        (tmp_path / name).write_text("{}\n")
    return tmp_path


def seen(folder: Path, *arguments: str) -> dict:
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert (folder / "seen.json").exists(), done.stderr
    content = json.loads((folder / "seen.json").read_text())
    (folder / "seen.json").unlink()
    return content


def test_a_first_invocation(folder):
    found = seen(folder, "pilot", "--cores", "2")
    assert found == {
        "here": str(folder),
        "given": [],
        "files": ["own.yaml"],
        "names_pilot": True,
        "named": [],
        "in_allocation": False,
        "cores": 2,
        "pandas_hidden": True,
        "pandas_found": True,
        "forced": False,
        "forces_none": True,
        "spreads": False,
        "touches": False,
        "forces_make": False,
        "jobs": [["make", "made/a", "a"], ["make", "made/b", "b"], ["pilot", "None"]],
        "of_make": True,
        "of_other": False,
    }


def test_what_is_there_runs_again_where_it_is_forced(folder):
    seen(folder, "made/a", "--cores", "1")
    (folder / "made/a").touch()
    by_option = seen(folder, "made/a", "--cores", "1", "--forcerun", "make")
    assert (by_option["forced"], by_option["forces_make"]) == (True, True)
    assert not by_option["forces_none"]
    of_report = seen(folder, "made/b", "--cores", "1", "--forcerun", "report")
    assert (of_report["forced"], of_report["forces_none"]) == (False, False)
    as_target = seen(folder, "made/a", "--cores", "1", "--force")
    assert (as_target["forced"], as_target["forces_none"]) == (False, False)
    by_input = seen(folder, "made/a", "--cores", "1", "--config", "force=True")
    assert by_input["jobs"] == [["make", "made/a", "a"]]
    assert (by_input["forced"], by_input["names_pilot"]) == (False, False)


def test_another_configuration_overwrites_the_workflows_own(folder):
    found = seen(folder, "made/a", "--cores", "1", "--configfile", "other.yaml")
    assert [Path(path).name for path in found["given"]] == ["other.yaml"]
    assert found["files"] == found["given"]


def test_a_name_on_the_command_line_can_become_a_rule_unless_it_is_one(folder):
    found = seen(folder, "nap", "pilot", "--cores", "1")
    assert found["named"] == ["nap"]
    names = [job[0] for job in found["jobs"]]
    assert names == ["make", "make", "nap", "pilot"]


def test_touching_is_distinguished_from_running(folder):
    seen(folder, "pilot", "--cores", "1")
    assert seen(folder, "pilot", "--cores", "1", "--touch", "--forceall")["touches"]


@pytest.mark.parametrize(("failing", "other"), ["ab", "ba"])
def test_the_other_jobs_go_on_where_one_fails(folder, failing, other):
    (folder / f"fail-{failing}").touch()
    seen(folder, "pilot", "--cores", "1", "--config", "go_on=True")
    assert (folder / "made" / other).exists()


@pytest.mark.parametrize(
    ("script", "left"),
    [
        ("exit 1", "before"),
        ("echo after > $1; exit 1", "after"),
        ("rm $1; exit 1", None),
        ("echo after > $1; kill -INT $PPID; sleep 1", "after"),
    ],
)
def test_an_output_to_be_updated_is_left_as_its_job_left_it(folder, script, left):
    (folder / "keep.sh").write_text(script)
    (folder / "kept").write_text("before\n")
    seen(folder, "kept", "--cores", "1", "--force")
    found = (folder / "kept").read_text().strip() if (folder / "kept").exists() else None
    assert found == left


def test_an_output_that_another_has_made_meanwhile_stays(folder):
    (folder / "keep.sh").write_text("echo made > $1; exit 1")
    seen(folder, "kept", "--cores", "1")
    assert (folder / "kept").read_text() == "made\n"


def test_the_console_is_quiet_and_the_log_is_not(folder):
    command = [sys.executable, "-m", "snakemake", "pilot", "--cores", "1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    said = ("Building DAG of jobs", "Using shell", "Select jobs to execute", "Execute 1 jobs")
    assert [text for text in said if text in done.stderr] == []
    assert "rule make" in done.stderr
    (log,) = (folder / ".snakemake/log").glob("*.log")
    assert "Select jobs to execute" in log.read_text()


@pytest.mark.parametrize(("quiet", "tables"), [(["--quiet", "rules"], 1), ([], 2)])
def test_no_table_of_jobs_follows_itself(folder, quiet, tables):
    """A dry run prints it before the jobs and after them, where they are not listed too."""
    command = [sys.executable, "-m", "snakemake", "pilot", "--dry-run", *quiet]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert (done.stdout + done.stderr).count(JOB_TABLE) == tables


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        ("returned non-zero exit status 1.", False),
        ("returned non-zero exit status 130.", False),
        ("returned non-zero exit status 2.", True),
        ("died with <Signals.SIGINT: 2>.", False),
        ("died with <Signals.SIGKILL: 9>.", True),
    ],
)
def test_a_job_is_said_to_have_failed_where_its_script_could_not_say_it(end, shown):
    text = (
        f"RuleException:\nCalledProcessError in file \"x.smk\", line 2:\nCommand 'python x' {end}"
    )
    assert (UNIMPORTANT.match(text) is None) == shown


def test_rule_files_use_nothing_of_it_themselves():
    """But for the folder of the file that is read, which leads to everything else."""
    root = SCRIPTS.parent
    files = [root / "Snakefile", root / "workflow/Snakefile", *sorted(root.glob("rules/*.smk"))]
    pattern = re.compile(r"(?<!llm_energy\.)\bworkflow\.(\w+)")
    lines = [line for file in files for line in file.read_text().splitlines()]
    code = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    assert set(pattern.findall(code)) == {"current_basedir"}


@pytest.mark.parametrize(
    ("command", "target"),
    [
        ("snakemake status --cores 1 --profile workflow-profile", "status"),
        ("snakemake --cores 1 --profile=workflow-profile status --configfile a.yaml", "status"),
        ("snakemake -c1 -d folder status --config status=json --quiet", "status"),
        ("snakemake --configfile a.yaml b.yaml -j 4 -- status", "status"),
        ("snakemake status report --cores 1", None),
        ("snakemake --cores 1 report status", None),
        ("snakemake status --dry-run", None),
        ("snakemake status -n", None),
        ("snakemake status --forceall", None),
        ("snakemake --forcerun measure status", None),
        ("snakemake --cores 1", None),
        ("snakemake --cores 1 --config status=json", None),
        ("snakemake --profile", None),
        ("pytest status", None),
    ],
)
def test_a_lone_target_is_known_before_the_rules(monkeypatch, tmp_path, command, target):
    """An option that is not known here may take the word after it, or change what is done."""
    monkeypatch.setattr(sys, "argv", command.split())
    modifier = SimpleNamespace(modify_rulename=lambda name: name)
    workflow = SimpleNamespace(modifier=modifier, main_snakefile=str(tmp_path / "Snakefile"))
    snakemake = SnakemakeInternals(workflow)
    assert snakemake.only_target(tmp_path / "Snakefile") == target
    assert snakemake.only_target(tmp_path / "workflow/Snakefile") is None
