"""A campaign: from its configuration to its experiments and their schedule.

Nothing here measures, downloads, prints or writes: a campaign is planned on any machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llm_energy.campaign.analysis_settings import Assumptions
from llm_energy.campaign.arrival_settings import Objectives, TraceConfig
from llm_energy.campaign.backend_settings import BackendConfig
from llm_energy.campaign.campaign_file import AdaptiveCycles, CampaignConfig
from llm_energy.campaign.catalogue import Catalogue
from llm_energy.campaign.contrasts import Contrast, axes_of, contrasts
from llm_energy.campaign.control_experiments import (
    Control,
    check_controls,
    control_experiments,
    controls,
)
from llm_energy.campaign.declared_inputs import ModelConfig, Prompts
from llm_energy.campaign.expand import expand
from llm_energy.campaign.experiment import Experiment, PlannedMeasurement
from llm_energy.campaign.line_numbers import read_files
from llm_energy.campaign.lock_file import read_lock
from llm_energy.campaign.measurement_settings import Measurement
from llm_energy.campaign.order import schedule
from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.campaign.problems import CampaignError, Problems, unknown
from llm_energy.campaign.publication import Publication
from llm_energy.campaign.rate_search import RateSearch, check_searches, rate_searches
from llm_energy.campaign.resolve import Resolver
from llm_energy.campaign.setting_checks import check_device, check_parallel, check_values
from llm_energy.campaign.structure import read_structure
from llm_energy.system.vocabulary import OPEN

MAXIMUM_MEASUREMENTS = 1_000_000
"""Most measurements of a campaign: beyond it, it is a mistake and planning fills the memory."""


@dataclass(frozen=True, eq=False)
class Campaign:
    """Experiments with the number and the order of their measurements."""

    name: str
    seed: int
    cycles: int
    """Cycles of every experiment; where `adaptive`, at most."""
    adaptive: AdaptiveCycles | None
    order: str
    isolation: str
    reference: str | None
    """Name of the experiment that the others are compared with."""
    assumptions: Assumptions
    slo: Objectives | None
    """Objectives of latency for experiments with load mode `open`."""
    contrasts: tuple[Contrast, ...]
    """The comparisons along axes."""
    controls: tuple[Control, ...]
    """Controls of the reference, or of the first experiment."""
    equivalence_margin: float
    backends: Mapping[str, BackendConfig]
    models: Mapping[str, ModelConfig]
    prompts: Mapping[str, Prompts]
    traces: Mapping[str, TraceConfig]
    """Traces of arrivals, by name."""
    measurement: Measurement
    parallel: Parallel | None
    publication: Publication
    experiments: tuple[Experiment, ...]
    """In declared order, those of controls last."""
    schedule: tuple[PlannedMeasurement, ...]
    """In planned order."""
    searches: tuple[RateSearch, ...]
    """Experiments that are measured only if a search for a rate visits them."""
    unpinned: tuple[str, ...]
    """One line for each identity that has to be pinned before anything is measured."""

    @property
    def design(self) -> dict[str, Any]:
        """The plan in plain values, for the analysis: the fields of a `Design`."""
        same = ("name", "cycles", "order", "seed", "isolation", "reference", "equivalence_margin")
        return {
            **{name: getattr(self, name) for name in same},
            "adaptive": self.adaptive and self.adaptive.model_dump(),
            "assumptions": self.assumptions.model_dump(),
            "slo": self.slo and self.slo.model_dump(),
            "contrasts": [asdict(contrast) for contrast in self.contrasts],
            "controls": [asdict(control) for control in self.controls],
            "searches": [
                {"name": search.name, "rates": search.rates, "experiments": search.names}
                for search in self.searches
            ],
            "names": self.names,
        }

    @property
    def names(self) -> dict[str, str]:
        """Hash of the spec -> name of each experiment."""
        return {experiment.spec_hash: experiment.name for experiment in self.experiments}

    @property
    def used_backends(self) -> dict[str, BackendConfig]:
        """The backends that experiments use, in the order of these."""
        names = dict.fromkeys(experiment.settings.backend for experiment in self.experiments)
        return {name: self.backends[name] for name in names}

    def experiment(self, name: str) -> Experiment:
        """Return the experiment of this name.

        Raises:
            KeyError: there is none.
        """
        return {experiment.name: experiment for experiment in self.experiments}[name]


def load_campaign(
    config: Mapping[str, Any],
    *,
    files: Sequence[Path],
    root: Path,
    lock: Path | None,
    allow_unpinned: bool = False,
) -> Campaign:
    """Check a configuration and make the campaign it describes.

    Args:
        config: the configuration in force: the files merged, with what `--config` gave.
        files: the files it was read from, later ones winning; for messages.
        root: the checkout, with envs/ and config/prompts/.
        lock: the lock file, which need not exist.
        allow_unpinned: leave identities without a pin to the caller (`Campaign.unpinned`); the
            hashes of such experiments mean nothing.

    Raises:
        CampaignError: with one message for every mistake there is.
    """
    lines = read_files(files)
    problems, unpinned = Problems(), Problems()
    model = read_structure(config, problems)
    cycles = model.cycles if isinstance(model.cycles, int) else model.cycles.maximum
    broken = {path[:2] for path in problems}
    catalogue = Catalogue(model, root, read_lock(lock), problems, unpinned)
    check_device(model, problems)
    check_parallel(model, problems)
    wrong = check_values(model, config, catalogue.tables, problems)
    points = [
        (group, point)
        for group, declared in model.experiments.items()
        if ("experiments", group) not in broken
        for point in expand(group, declared, problems)
    ]
    complete = all(path[0] != "defaults" for path in broken)
    resolver = Resolver(catalogue, wrong, complete)
    made = (resolver.experiment(group, point) for group, point in points)
    experiments = tuple(experiment for experiment in made if experiment)
    _check_distinct(experiments, problems)
    if model.slo and experiments and all(e.settings.load_mode != OPEN for e in experiments):
        problems.add(("slo",), "no experiment has load mode `open`, which it is for; remove it")
    if (number := len(experiments) * cycles) > MAXIMUM_MEASUREMENTS:
        message = f"makes {number} measurements, more than {MAXIMUM_MEASUREMENTS}; lower it"
        problems.add(("cycles",), message)
    _check_references(model, [point.name for _, point in points], problems)
    # The controls are those of the reference, or of the first experiment.
    named = [e for e in experiments if model.reference in (None, e.name)]
    declared_controls = controls(model.controls, named[0].name) if named else []
    check_controls(
        declared_controls,
        experiments,
        baseline_s=model.measurement.baseline_s,
        parallel=model.parallel is not None or problems.below("parallel"),
        problems=problems,
    )
    searches = rate_searches(model, experiments)
    check_searches(
        model,
        searches,
        controlled=named[0] if declared_controls else None,
        problems=problems,
    )
    mistakes = lines.repeated + lines.locate(problems, config)
    to_pin = lines.locate(unpinned, config)
    if mistakes or (to_pin and not allow_unpinned):
        everything = mistakes if allow_unpinned else mistakes + to_pin
        raise CampaignError([str(mistake) for mistake in sorted(everything)])
    measured = (*experiments, *control_experiments(declared_controls, named[0]))
    return Campaign(
        name=model.campaign,
        seed=model.seed,
        cycles=cycles,
        adaptive=None if isinstance(model.cycles, int) else model.cycles,
        order=model.order,
        isolation=model.isolation,
        reference=model.reference,
        assumptions=model.assumptions,
        slo=model.slo,
        contrasts=contrasts(model, experiments),
        controls=tuple(declared_controls),
        equivalence_margin=model.comparisons.equivalence_margin,
        backends=model.backends,
        models=model.models,
        prompts=model.prompts,
        traces=model.traces,
        measurement=model.measurement,
        parallel=model.parallel,
        publication=model.publication,
        experiments=measured,
        schedule=schedule(
            measured,
            cycles=cycles,
            seed=model.seed,
            randomised=model.order == "randomised_blocks",
        ),
        searches=searches,
        unpinned=tuple(str(mistake) for mistake in to_pin),
    )


def _check_references(model: CampaignConfig, known: Sequence[str], problems: Problems) -> None:
    """Check that the reference exists, and that what is to be compared varies at all.

    A mistake in a group may change the names of its experiments and its axes, which says nothing
    of those who name them.
    """
    wrong = {str(path[1]) for path in problems if path[0] == "experiments" and len(path) > 1}
    reference = model.reference
    of_wrong = any(reference == group or str(reference).startswith(f"{group}_") for group in wrong)
    if known and reference is not None and reference not in known and not of_wrong:
        problems.add(("reference",), unknown("experiment", reference, known))
    if wrong:
        return
    axes = {key for group in model.experiments.values() for axis in axes_of(group) for key in axis}
    for index, factor in enumerate(model.comparisons.factors or ()):
        if factor not in axes:
            message = unknown("axis", factor, axes) if axes else "varies nowhere; remove it"
            problems.add(("comparisons", "factors", index), message)


def _check_distinct(experiments: Sequence[Experiment], problems: Problems) -> None:
    """Check that every experiment has a name and a spec of its own."""
    names, specs = set[str](), dict[str, Experiment]()
    wrong = {path[:2] for path in problems}
    for experiment in experiments:
        path, name = ("experiments", experiment.group), experiment.name
        same = specs.setdefault(experiment.spec_hash, experiment)
        if name in names:
            problems.add(path, f"a second experiment is named {name}; rename its group")
        elif same is not experiment and path not in wrong:  # a refused setting is no difference
            remedy = ", with `exclude`" if same.group == experiment.group else ""
            problems.add(path, f"{name} is the same as {same.name}; leave one out{remedy}")
        names.add(name)
