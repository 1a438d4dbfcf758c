"""Rule script: how many cycles an experiment needs, from the results of its first cycles."""

from pathlib import Path

from llm_energy.results.result import ResultError, read_result
from llm_energy.system.scripting import rule_script

with rule_script(snakemake, ResultError):
    from llm_energy.analysis.decision import decide
    from llm_energy.analysis.derived_records import write_record

    results = [read_result(Path(path)) for path in snakemake.input]
    decision = decide(results, snakemake.params.target)
    write_record(Path(snakemake.output[0]), decision)
