"""Variables with secrets that a backend names: they identify by name, and some are refused."""

from typing import Any

import pytest
from tests.llm_energy.campaign.test_servers import faults
from tests.llm_energy.make_servers import ATTACHED, LAUNCHED, PINNED, campaign

from llm_energy.campaign.experiment import Experiment


def test_variables_with_secrets_identify_by_their_names_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def made(*names: str) -> Experiment:
        own = {"server": LAUNCHED, "environment": PINNED, "pass_variables": list(names)}
        (experiment,) = campaign(own).experiments
        return experiment

    monkeypatch.setenv("LICENSE_KEY", "s3cret")
    one = made("LICENSE_KEY")
    monkeypatch.setenv("LICENSE_KEY", "another")
    assert one.spec_hash == made("LICENSE_KEY").spec_hash
    assert made("A_TOKEN", "B_KEY").spec_hash == made("B_KEY", "A_TOKEN").spec_hash
    without = {"server": LAUNCHED, "environment": PINNED}
    assert made().spec_hash == campaign(without).experiments[0].spec_hash != one.spec_hash
    assert "s3cret" not in repr(one.spec)


IMAGE = {"image": f"mine@sha256:{64 * '0'}"}


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ({"server": ATTACHED}, "a server that runs already has an environment of its own"),
        ({"server": LAUNCHED, "environment": PINNED}, "MINE has no name of a secret; processes"),
        (
            {"server": LAUNCHED, "environment": IMAGE, "runtime": "docker"},
            "MINE has no name of a secret; set it in container.environment",
        ),
    ],
)
def test_variables_that_cannot_be_passed_on_are_one_line(
    backend: dict[str, Any], words: str
) -> None:
    (message,) = faults(backend | {"pass_variables": ["MINE"]})
    assert f"backends.mine.pass_variables: {words}" in message


def test_a_variable_is_given_once_and_none_of_the_workflows_own() -> None:
    own = {"server": LAUNCHED, "environment": IMAGE, "runtime": "docker"}
    given = own | {"container": {"environment": {"A_KEY": "1"}}, "pass_variables": ["A_KEY"]}
    assert "A_KEY is in container.environment; leave one" in faults(given)[0]
    reserved = faults(own | {"pass_variables": ["HF_TOKEN"]})
    assert "HF_TOKEN: variables that begin with HF_" in reserved[0]
