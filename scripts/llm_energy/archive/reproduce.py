"""Every table, figure and page of an unpacked archive again, from its raw data alone."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from llm_energy.archive.equality import difference
from llm_energy.archive.verify import Verdict, result_files

REPRODUCED = "reproduced"
"""Folder of the archive in which all is made again; replaced by each call."""

MADE = ("summary", "figures", "tables", "report.html")
"""What is made of the raw data, below a campaign's results. Not decisions on further cycles: they
say what was asked for, and `verify` makes them again."""

PLANNED = re.compile(r"^(\S+) +(\d+)$", re.MULTILINE)


class ReproductionError(Exception):
    """The archive cannot be made again; the message says why."""


def campaign_name(folder: Path) -> str:
    """Of the campaign in an unpacked archive.

    Raises:
        ReproductionError: it is none.
    """
    try:
        return str(yaml.safe_load((folder / "campaign.yaml").read_text())["campaign"])
    except (OSError, KeyError, TypeError) as error:
        message = f"{folder} is no unpacked archive: it has no campaign.yaml that names a campaign"
        raise ReproductionError(message) from error


def reproduce(folder: Path) -> Verdict:
    """Make everything again below `reproduced/` and compare it with what was shipped.

    Raises:
        ReproductionError: something would have to be measured, or the workflow failed.
    """
    results = Path("results") / campaign_name(folder)
    place = folder / REPRODUCED
    shutil.rmtree(place, ignore_errors=True)
    for path in result_files(folder / results):
        name = path.relative_to(folder)
        if name.parts[2] not in MADE:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            _link(path, place / name)
    if (folder / "inputs").exists():
        shutil.copytree(folder / "inputs", place / "inputs")
    planned = dict(PLANNED.findall(_snakemake(folder, place, "--dry-run")))
    if "measure" in planned:
        raise ReproductionError(f"{planned['measure']} measurements are missing: nothing is made")
    _snakemake(folder, place)
    return compare(folder / results, place / results)


def compare(shipped: Path, made: Path) -> Verdict:
    """Every derived file of two results folders, and how those whose bytes differ compare."""
    names = sorted({path.relative_to(top) for top in (shipped, made) for path in result_files(top)})
    derived = [name for name in names if name.parts[0] in MADE]
    problems, equal, same = [], 0, 0
    for name in derived:
        if not (made / name).exists():
            problems.append(f"{name}: shipped, and not made again")
            continue
        if not (shipped / name).exists():
            problems.append(f"{name}: made again, and not shipped")
            continue
        found = difference(shipped / name, made / name)
        equal += found is None
        if found is not None and found.startswith("same"):
            same += 1
        elif found is not None:
            problems.append(f"{name}: {found}")
    told = f"{len(derived)} tables, figures and pages: {equal} equal in bytes"
    return Verdict(f"{told}, {same} in their numbers" if same else told, problems)


def _snakemake(folder: Path, place: Path, *arguments: str) -> str:
    """Run the archive's workflow in `place`; returns what it printed.

    Raises:
        ReproductionError: it failed; the message ends with its last lines.
    """
    workflow = folder.absolute() / "workflow"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(workflow / "Snakefile")]
    command += ["--cores", "1", "--profile", str(workflow / "workflow-profile"), *arguments]
    command += ["--configfile", str(folder.absolute() / "campaign.yaml")]
    done = subprocess.run(
        command, cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-20:])
        raise ReproductionError(f"the workflow failed in {place}:\n{last}")
    return done.stdout


def _link(source: Path, target: Path) -> None:
    """The same file twice where the file system can: raw data may be large, and is only read."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
