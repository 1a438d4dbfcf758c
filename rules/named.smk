"""Names of experiments as targets; included last, because a target that names a rule is the rule."""

from llm_energy.workflow.targets import refuse_unknown_targets

for name in SNAKEMAKE.named_targets(REQUESTED.names.values()):

    rule:
        name:
            name
        input:
            REQUESTED.measurements(checkpoints, name),
        localrule: True


refuse_unknown_targets(SNAKEMAKE, OPENED, REQUESTED)
