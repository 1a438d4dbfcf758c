"""Functions that rules give Snakemake for each of their jobs."""

import inspect

from llm_energy.workflow.input_functions import of_wildcards


def test_a_known_signature_is_the_one_that_would_be_found():
    def plain(wildcards):
        return wildcards

    found = inspect.signature(plain).parameters
    known = inspect.signature(of_wildcards(plain)).parameters
    assert [(each.name, each.kind) for each in known.values()] == [
        (each.name, each.kind) for each in found.values()
    ]
    assert inspect.signature(plain) is plain.__signature__
    assert plain("a") == "a"
