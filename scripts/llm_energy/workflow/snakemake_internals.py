"""Every use of what Snakemake does not document, in one place: written for and tested with 9.27.

Nothing here imports Snakemake: it gets the object `workflow` that rule files find.
"""

import argparse
import gc
import logging
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from llm_energy.system.scripting import INTERRUPTED, end_without_traceback

UNIMPORTANT = re.compile(
    r"Assuming unrestricted shared filesystem usage|Building DAG of jobs|Using shell: "
    r"|Conda environments: ignored|Select jobs to execute|Execute \d+ jobs"
    r"|\d+ jobs have (missing|outdated) provenance|Exiting because a job execution failed"
    r"|Restored previous version of |Warning: the following output files of rule "
    r"|RuleException:\s+CalledProcessError in [^\n]+\n[^\n]+ "
    rf"(returned non-zero exit status (1|{INTERRUPTED})\.|died with <Signals\.SIGINT: 2>\.)\s*$"
)
"""Messages without news of a campaign; a script that ends with 1 has printed the reason, and
whoever interrupts it knows."""

JOB_TABLE = "Job stats:"
"""Beginning of the table of jobs: a dry run prints it before its jobs and after them."""

CONSTRAINT = re.compile(r"\{(\w+),(?:[^{}]|\{[^{}]*\})*\}")
"""A wildcard with the expression that constrains it."""


@dataclass(frozen=True)
class JobToRun:
    """A job that Snakemake is going to run."""

    rule: str
    outputs: tuple[str, ...]
    spec_hash: str | None
    """Its wildcard `spec`."""


class _Worthwhile(logging.Filter):
    """Leaves out unimportant messages, and a table of jobs that would follow itself."""

    _last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        text = str(record.msg)
        if UNIMPORTANT.match(text):
            return False
        before, self._last = self._last, text
        return text != before or not text.startswith(JOB_TABLE)


class SnakemakeInternals:
    """One invocation of Snakemake, behind names of ours."""

    def __init__(self, workflow: Any) -> None:
        """Made while the rules are read; a workflow that uses this one may rename them."""
        self._workflow = workflow
        self._before, self._after = workflow.modifier.modify_rulename("*").split("*")
        self.planned_s = time.time()
        """When this invocation began to look for what is missing, in seconds since the epoch."""

    def quieten(self) -> None:
        """Leave out of the console, not out of its log, messages about Snakemake itself, those that
        a rule script has worded better, and the traceback of Ctrl-C. Not with `--verbose`."""
        if not self._workflow.output_settings.verbose:
            end_without_traceback()
            for handler in logging.getLogger("snakemake.logging").handlers:
                if isinstance(handler, logging.StreamHandler) and not isinstance(
                    handler, logging.FileHandler
                ):
                    handler.addFilter(_Worthwhile())

    def hide_pandas(self) -> None:
        """Let Snakemake find no pandas, unless another workflow uses this one and may want it.

        It loads pandas to compare parameters, though none here is a table: a third of the time of
        a command that has nothing to do.
        """
        if self._is_outermost:
            sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]

    def collect_garbage_seldom(self) -> None:
        """Let Python look for garbage in cycles a hundred times more seldom, unless another
        workflow uses this one: that search is slow where thousands of jobs are planned."""
        if self._is_outermost:
            gc.set_threshold(100_000, 20, 20)

    @property
    def _is_outermost(self) -> bool:
        # Only a workflow that another one uses has a parent; the outermost is a module too.
        return self._workflow.modifier.parent_modifier is None

    @staticmethod
    def show_pandas() -> None:
        """Undo `hide_pandas`, once Snakemake has compared all parameters."""
        if sys.modules.get("pandas", sys) is None:
            del sys.modules["pandas"]

    @property
    def given_config_files(self) -> list[Path]:
        """The files of `--configfile`: where there are any, `configfile:` is overwritten."""
        return [Path(path) for path in self._workflow.overwrite_configfiles]

    @property
    def config_files(self) -> list[Path]:
        """The files that `config` was read from, later ones winning."""
        return self.given_config_files or [Path(path) for path in self._workflow.configfiles]

    def names_target(self, name: str) -> bool:
        """Return whether a target stands on the command line; Snakemake knows none yet."""
        return self._named(name) in sys.argv

    @property
    def in_allocation(self) -> bool:
        """This process runs a job that another Snakemake submitted to a cluster."""
        return bool(self._workflow.remote_exec)

    @property
    def spreads(self) -> bool:
        """Jobs are submitted to a cluster."""
        return bool(self._workflow.non_local_exec)

    @property
    def allocations(self) -> int | None:
        """Allocations of a cluster that there may be at the same time; None on one host. Known
        while the rules are read, before there is an executor: the command names a number of jobs,
        as Snakemake requires for a cluster."""
        nodes: int | None = self._workflow.resource_settings.nodes
        return nodes

    @property
    def touches(self) -> bool:
        """Files are only made younger, with `--touch`."""
        return bool(self._workflow.touch)

    def named_targets(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that stand on the command line, and name no rule so far."""
        return [name for name in names if name in sys.argv and not self._workflow.is_rule(name)]

    def targets(self, snakefile: Path) -> list[str]:
        """Targets of the command line, once all rules are read. Snakemake, which knows all targets,
        has not parsed its rules to their end yet.

        Args:
            snakefile: the one whose rules are known: another one that includes it may add some.
        """
        if not self._is_command_of(snakefile):
            return []
        words = sys.argv[1:]
        if before := list(takewhile(_is_no_option, words)):
            return before
        last = list(takewhile(_is_no_option, reversed(words)))
        # The value of an option comes first; the parser takes a quarter of a second.
        if all(self._workflow.is_rule(word) for word in last[:-1]):
            return []
        parser = sys.modules["snakemake.cli"].get_argument_parser()
        return list(parser.parse_known_args(words)[0].targets)

    def only_target(self, snakefile: Path) -> str | None:
        """Return the one target of a command that has no option but those that say where to look
        and how much to run at once; None for any other command. It needs no rule to be read."""
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        for one in ("--profile", "--workflow-profile", "-s", "--snakefile", "-d", "--directory"):
            parser.add_argument(one)
        for one in ("-c", "--cores", "-j", "--jobs"):
            parser.add_argument(one, nargs="?")
        for several in ("--configfile", "--configfiles", "-C", "--config", "-q", "--quiet"):
            parser.add_argument(several, nargs="*")
        parser.add_argument("targets", nargs="*")
        try:
            known, others = parser.parse_known_args(sys.argv[1:])
        except argparse.ArgumentError:
            return None
        if others or len(known.targets) != 1 or not self._is_command_of(snakefile):
            return None
        return str(known.targets[0])

    def _is_command_of(self, snakefile: Path) -> bool:
        is_outermost = Path(self._workflow.main_snakefile).resolve() == snakefile.resolve()
        return "snakemake" in sys.argv[0] and is_outermost

    def makes(self, path: str) -> bool:
        """Return whether a rule makes a file of this path."""
        return any(rule.is_producer(path) for rule in self._workflow.rules)

    def pattern_of(self, rule: str) -> str | None:
        """Return the path, with wildcards, of what a rule makes; None for a rule without any."""
        if not self._workflow.is_rule(rule):
            return None
        paths = (str(path) for path in self._outputs(rule) if path.contains_wildcard())
        return next((CONSTRAINT.sub(r"{\1}", path) for path in paths), None)

    @property
    def files(self) -> list[str]:
        """Paths without wildcards of all that rules make."""
        outputs = [path for name in self.target_rules for path in self._outputs(name)]
        return [str(path) for path in outputs]

    def _outputs(self, rule: str) -> list[Any]:
        return list(self._workflow.get_rule(rule).output)

    @property
    def target_rules(self) -> list[str]:
        """Names of the rules that may be targets."""
        return [rule.name for rule in self._workflow.rules if not rule.has_wildcards()]

    @property
    def cores(self) -> int:
        """Cores that a job may have; 1 where they are not known, as on a cluster."""
        return self._workflow.resource_settings.cores or 1

    @property
    def limits_cores(self) -> bool:
        """The command says how many cores there are; for a cluster it need not."""
        return self._workflow.resource_settings.cores is not None

    def total(self, resource: str) -> int:
        """Return how much there is of a resource; 0 where neither profile nor command says."""
        known = self._workflow.global_resources.get(resource)
        return int(getattr(known, "value", known) or 0)

    def limit(self, resource: str, total: int) -> None:
        """Set the total of a resource as the profile does; in a cluster, of each allocation."""
        self._workflow.global_resources[resource] = total
        self._workflow.resource_scopes[resource] = "local"

    def as_one_job(self, name: str, number: int) -> str:
        """Name a group of jobs that are one job of the cluster, though none depends on another, as
        if the profile had named group and `group-components`, which no allocation is given."""
        group = f"{name}-{number}"
        self._workflow.parent_groupids[group] = name
        self._workflow.group_settings.group_components = {name: sys.maxsize}
        return group

    @property
    def forced(self) -> bool:
        """Some jobs besides the report are forced, so that what is settled may be made again."""
        settings = self._workflow.dag_settings
        return bool(settings.forceall or set(settings.forcerun) - {self._named("report")})

    @property
    def forces_none(self) -> bool:
        """No job is forced, neither by its rule nor as a target."""
        settings = self._workflow.dag_settings
        return not (self.forced or settings.forcerun or settings.forcetargets)

    def forces(self, rule: str) -> bool:
        """Return whether all jobs of a rule are forced."""
        settings = self._workflow.dag_settings
        return bool(settings.forceall or self._named(rule) in settings.forcerun)

    def _named(self, rule: str) -> str:
        return f"{self._before}{rule}{self._after}"

    def force(self, path: str) -> None:
        """Have the job of an output run; from its input function, to force only what is needed."""
        self._workflow.dag.forcefiles.add(path)

    def keep_as_left(self) -> None:
        """Leave an output marked with `update` as its job leaves it, also one that failed or ended:
        others may use it. Snakemake would put back what was there, and remove what came since."""
        self._workflow.persistence.backup_output = lambda _path: None
        self._workflow.persistence.restore_output = lambda path: path.exists()

    def keep_going(self) -> None:
        """Let the other jobs go on where one fails: Snakemake passes the option to no job that it
        submits, and one failing measurement must not stop its block."""
        self._workflow.execution_settings.keep_going = True

    def jobs_to_run(self) -> list[JobToRun]:
        """The jobs that are going to run, when the DAG is complete: from `onstart` on."""
        return [
            JobToRun(
                self._own_name(job),
                tuple(str(path) for path in job.output),
                job.wildcards_dict.get("spec"),
            )
            for job in self._workflow.dag.needrun_jobs()
        ]

    def has_jobs_of(self, rules: Iterable[str]) -> bool:
        """Return whether the DAG has jobs of these rules, to be run or not."""
        return any(self._own_name(job) in rules for job in self._workflow.dag.jobs)

    def _own_name(self, job: Any) -> str:
        """Name of a job's rule as this workflow gives it."""
        return str(job.rule.name).removeprefix(self._before).removesuffix(self._after)


def _is_no_option(word: str) -> bool:
    return not word.startswith("-")
