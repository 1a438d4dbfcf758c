"""Faults in a container of Podman: the tests are those of Docker."""

import pytest

from tests.integration import test_containers as docker_tests

pytestmark = [pytest.mark.integration, pytest.mark.long]

faulty, tree = docker_tests.faulty, docker_tests.tree
test_an_engine_that_fails = docker_tests.test_an_engine_that_fails_is_replaced_within_its_container
test_an_engine_that_floods_its_output = (
    docker_tests.test_an_engine_that_floods_its_output_disturbs_nothing
)
test_a_secret = (
    docker_tests.test_a_secret_reaches_its_backend_alone_and_no_file_but_what_an_engine_prints
)
test_a_memory_limit = docker_tests.test_a_memory_limit_that_is_exceeded_is_an_outcome


@pytest.fixture(scope="module")
def ready_in_containers(podman, ready_in_podman):
    """Podman's image in place of Docker's, and its socket for all of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", podman)
        yield ready_in_podman
