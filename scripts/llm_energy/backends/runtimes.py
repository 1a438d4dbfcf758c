"""The runtimes by name."""

from llm_energy.backends.runtime import BackendError, Runtime
from llm_energy.system.vocabulary import DOCKER, PROCESS


def runtime_named(name: str) -> Runtime:
    """Return the runtime that a campaign's `backends.*.runtime` names.

    A runtime is imported when it is first used: jobs without containers load no Docker client.

    Raises:
        BackendError: `unknown_runtime`.
    """
    if name == PROCESS:
        from llm_energy.backends.process_runtime import ProcessRuntime

        return ProcessRuntime()
    if name == DOCKER:
        from llm_energy.backends.docker_runtime import DockerRuntime

        return DockerRuntime()
    raise BackendError("unknown_runtime", f"there is no runtime `{name}`")
