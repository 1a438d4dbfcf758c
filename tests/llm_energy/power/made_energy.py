"""The energy of a measurement with made power."""

import dataclasses

from tests.llm_energy.power.made_power import (
    GPU,
    phases,
)

from llm_energy.power.accounting import account_energy
from llm_energy.results.parts import Tokens

TOKENS = Tokens(input=500, output=1000, requests=10)
PHASES = phases(load=(1, 3), idle=(4, 9), warmup=(11, 14), window=(14.03, 24.03), tail=(24.03, 25))
OTHER = dataclasses.replace(GPU, id="GPU-2")


def energy(series, **options):
    return account_energy(series, PHASES, options.pop("tokens", TOKENS), **options).energy
