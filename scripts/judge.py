"""Rule script: judge a rate that a search visits, from the results of its cycles."""

from pathlib import Path

from llm_energy.results.result import ResultError, read_result
from llm_energy.system.scripting import rule_script

with rule_script(snakemake, ResultError):
    from llm_energy.analysis.judgement import judge, write_judgement
    from llm_energy.campaign.arrival_settings import Objectives

    results = [read_result(Path(path)) for path in snakemake.input]
    objectives = Objectives.model_validate(snakemake.params.objectives)
    judgement = judge(results, objectives, Path(snakemake.params.results))
    write_judgement(Path(snakemake.output[0]), judgement)
