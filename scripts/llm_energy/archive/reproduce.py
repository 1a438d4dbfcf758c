"""Make every table, figure and page of an unpacked archive again from its raw data, and compare.

Files are equal by their bytes, or else by their text and numbers.
"""

import os
import re
import shutil
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import pandas as pd
import yaml

from llm_energy.archive.verify import Verdict, result_files

REPRODUCED = "reproduced"
"""Folder of the archive in which all is made again; replaced by each call."""

MADE = ("summary", "figures", "tables", "report.html")
"""Files made from the raw data, below a campaign's results. Not decisions on further cycles: they
are part of the design, and `verify` makes them again."""

PLANNED = re.compile(r"^(\S+) +(\d+)$", re.MULTILINE)

RELATIVE = 1e-9
"""Two builds of the same arithmetic agree far better than this."""

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
EMBEDDED = re.compile(r"data:[a-z]+/[a-z+]+;base64,[A-Za-z0-9+/=]+")
"""Files inside a page: the figures, which are compared as files."""

TEXTS = (".csv", ".json", ".txt", ".svg", ".html", ".tsv")


class ReproductionError(Exception):
    """The archive cannot be made again; the message says why."""


def campaign_name(folder: Path) -> str:
    """The name of the campaign in an unpacked archive.

    Raises:
        ReproductionError: the folder is none.
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
    """Compare every derived file of two results folders."""
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
    summary = f"{len(derived)} tables, figures and pages: {equal} equal in bytes"
    return Verdict(f"{summary}, {same} in their numbers" if same else summary, problems)


def _snakemake(folder: Path, place: Path, *arguments: str) -> str:
    """Run the archive's workflow in `place` and return its output.

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
    """Hard-link a file, or copy it where the file system cannot: raw data may be large."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def difference(shipped: Path, made: Path) -> str | None:
    """None for equal bytes; else a description, which begins with `same` for equal content."""
    one, other = shipped.read_bytes(), made.read_bytes()
    if one == other:
        return None
    if shipped.suffix in (".png", ".pdf"):
        return "same drawing as its SVG, other bytes"
    if shipped.suffix == ".parquet":
        one, other = (pd.read_parquet(path).to_csv().encode() for path in (shipped, made))
    elif shipped.suffix not in TEXTS:
        return "other bytes"
    found = _first_difference(one.decode(), other.decode())
    return "same numbers, other bytes" if found is None else found


def _first_difference(one: str, other: str) -> str | None:
    """The first place where two texts differ by more than the last digits of a number."""
    texts = [EMBEDDED.sub("", text) for text in (one, other)]
    words = [NUMBER.split(text) for text in texts]
    numbers = [NUMBER.findall(text) for text in texts]
    for left, right in zip_longest(*words, fillvalue=""):
        if left != right:
            return f"`{_cut(left)}` became `{_cut(right)}`"
    for left, right in zip(*numbers, strict=True):
        if not _equal(left, right):
            return f"{left} became {right}"
    return None


def _cut(text: str) -> str:
    return " ".join(text.split())[:60]


def _equal(one: str, other: str) -> bool:
    """Within `RELATIVE`, or one unit of the last printed decimal; whole numbers exactly."""
    if one == other:
        return True
    last = min(len(text.partition(".")[2]) for text in (one, other))
    if last == 0:
        return False
    near = 0.0 if "e" in f"{one}{other}".lower() else 1.01 * 10.0**-last
    left, right = float(one), float(other)
    return abs(left - right) <= max(near, RELATIVE * max(abs(left), abs(right)))
