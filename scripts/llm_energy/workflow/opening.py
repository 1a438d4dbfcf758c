"""From the configuration that Snakemake read to the campaign of this invocation."""

import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_energy.campaign import pilot_config
from llm_energy.campaign.campaign import Campaign, load_campaign
from llm_energy.campaign.line_numbers import read_files
from llm_energy.campaign.problems import CampaignError
from llm_energy.results import layout, older_layout
from llm_energy.runs.run import Run
from llm_energy.system.cache import CACHE
from llm_energy.workflow.snakemake_internals import SnakemakeInternals

LOCK_FILE = Path("config/models.lock.yaml")
"""Pins that the campaign's file leaves open, in the checkout."""


@dataclass(frozen=True)
class Opened:
    """The campaign of an invocation."""

    campaign: Campaign
    results: str
    """Its results folder, relative to the working directory."""
    is_pilot: bool
    root: Path
    """The checkout."""
    files: tuple[Path, ...]
    """Where its configuration stands."""
    elsewhere: Mapping[str, str]
    """Place of a result, or of what belongs to one -> where it lies until the run starts, in the
    older layout; both below `results`."""


def campaign_of_script(snakemake: Any, *, pilot: bool = False) -> Campaign:
    """Load the campaign, or its pilot, in a rule script."""
    root = Path(snakemake.scriptdir).parent
    config = pilot_config.pilot_config(snakemake.config) if pilot else snakemake.config
    return load_campaign(config, files=[], root=root, lock=root / LOCK_FILE)


UNQUOTED = re.compile(r"""[\s"'`$&;|()<>*?{}\[\]\\#!~]""")
"""Characters that a shell does not leave as they are."""


def refuse_place(root: Path) -> None:
    """End the program where Snakemake cannot start a job: it does not quote the interpreter, and
    takes braces in the path of the checkout for a format."""
    for path, pattern in ((sys.executable, UNQUOTED), (str(root), re.compile(r"[{}]"))):
        if found := pattern.search(path):
            sys.exit(
                f"{path}: jobs cannot start below a path with `{found[0]}`; move the folder to a "
                "path of letters, digits, `.`, `_` and `-`, then `make setup`"
            )


def refuse_no_folder(results: Path) -> None:
    """End the program where a results folder, one above it or one in it is a file, or it or a file
    in it is a link that leads nowhere, as where a copy of the results lacks their content."""
    for path in (*reversed(results.parents), results, *map(results.joinpath, layout.FOLDERS)):
        _refuse_other_than_folder(path)
    # What else lies beside the folders of specs is somebody's own.
    specs = [
        entry
        for kind in (layout.MEASURED, layout.ANCHORS)
        for entry in _entries(results / kind)
        if re.fullmatch(layout.SPEC, entry.name)
    ]
    for entry in specs:
        if not entry.is_dir(follow_symlinks=False):
            _refuse_other_than_folder(Path(entry.path))
    for folder in (results, results / "summary", *specs):
        for file in _entries(folder):
            hidden = file.name.startswith(".")  # the lock of an editor is such a link
            if not hidden and file.is_symlink() and not Path(file.path).exists():
                sys.exit(
                    f"{file.path} is a link to {Path(file.path).readlink()}, which is not there: "
                    "bring it back, or remove the link, and it is made again"
                )


def _entries(folder: os.PathLike[str]) -> list[os.DirEntry[str]]:
    """Return what is in a folder; nothing where there is none. They know without a look at the disk
    what is a link or a folder."""
    try:
        return list(os.scandir(folder))
    except FileNotFoundError:
        return []


def refuse_no_work_folder(campaign: str) -> None:
    """End the program where a folder of logs or of the cache is a file or leads nowhere."""
    for path in (Path("logs"), Path("logs", campaign)):
        _refuse_other_than_folder(path, "logs")
    for name in ("", "environments", "models", "prompts", "runs", "waiting", "locks"):
        _refuse_other_than_folder(CACHE / name, "inputs and runs")


def _refuse_other_than_folder(path: Path, what: str = "results") -> None:
    if (path.exists() or path.is_symlink()) and not path.is_dir():
        lies = f"a link to {path.readlink()}, which is" if path.is_symlink() else "a file,"
        sys.exit(f"{path} is {lies} no folder: {what} cannot lie there; move or remove it")


def default_campaign(root: Path) -> str:
    """Return the file of the default campaign: config/config.yaml of the working directory, as in
    every workflow, or else the one that ships."""
    folders = (Path.cwd(), root)
    path = next(p for f in folders if (p := f / "config" / "config.yaml").exists())
    try:
        read_files([path])  # names the line of what is no YAML, which Snakemake does not
    except CampaignError as error:
        sys.exit("\n".join(error.messages))
    return str(path)


def open_campaign(
    config: MutableMapping[str, Any], *, root: Path, snakemake: SnakemakeInternals
) -> Opened:
    """Load the campaign, or its pilot; ends the program with all mistakes that there are.

    Args:
        config: Snakemake's; truth values of `--config` become such.
    """
    # On the command line Snakemake takes only True and False for truth values; YAML has more.
    for key in ("remeasure", "new_device"):
        if (text := str(config.get(key)).lower()) in ("true", "false"):
            config[key] = text == "true"
    # A job in an allocation of a cluster reads all this again, with other arguments. It must find
    # the run that it belongs to, before Snakemake deletes what the job is about to make.
    submitted_by = Run.of_invocation() if snakemake.in_allocation else None
    if snakemake.in_allocation and submitted_by is None:
        sys.exit("The workflow that submitted this job has ended: nothing is done.")
    is_pilot = snakemake.names_target("pilot")
    if submitted_by is not None:
        is_pilot = submitted_by.results.name == pilot_config.FOLDER
    try:
        campaign = load_campaign(
            pilot_config.pilot_config(config) if is_pilot else config,
            files=snakemake.config_files,
            root=root,
            lock=root / LOCK_FILE,
            allow_unpinned=snakemake.names_target("lock"),
        )
    except CampaignError as error:
        sys.exit("\n".join(error.messages))
    results = Path("results", campaign.name, pilot_config.FOLDER if is_pilot else "")
    refuse_no_folder(results)
    refuse_no_work_folder(campaign.name)
    elsewhere = older_layout.links(results, campaign.names)
    if count := sum(path.startswith("measurements/") for path in elsewhere):
        lie = "result lies" if count == 1 else "results lie"
        print(
            f"{count} {lie} in folders of the older layout, with the names of experiments in their "
            f"paths: they count by what was measured; a run links them into their places",
            file=sys.stderr,
        )
    files = tuple(snakemake.config_files)
    return Opened(campaign, results.as_posix(), is_pilot, root, files, elsewhere)
