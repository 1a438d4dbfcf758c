"""Environments that engines run in, on this machine or in images: made, or the user's own."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_energy.inputs.interpreter import Environment, ask_worker, place_of, run_python
from llm_energy.inputs.packages import install
from llm_energy.system.errors import InputError
from llm_energy.system.files import sha256_of, write_atomically

if TYPE_CHECKING:  # the campaign's model would cost every measuring job 0.1 s
    from llm_energy.inputs.recipes import EnvironmentRecipe

LIST_PACKAGES = (
    "import json, importlib.metadata as m; "
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)

LISTING_S = 120.0
"""Deadline for the list of packages; a slow disk reads thousands of small files."""


def prepare_environment(
    recipe: "EnvironmentRecipe", *, root: Path, target: Path, log: Path
) -> dict[str, Any]:
    """Have an environment for a backend and return the content of its marker."""
    backend, identity = recipe.backend, recipe.identity
    match recipe.kind:
        case "venv":
            requirements = root / recipe.folder / "requirements.txt"
            python = install(requirements, target / "venv", log=log)
            had = {"kind": "venv", "python": str(python)}
        case "interpreter":
            had = own_interpreter(recipe.python, backend)
        case "build" | "image":
            from llm_energy.inputs.image import prepare_image  # imports Docker

            had = prepare_image(recipe, root=root, target=target, log=log)
    described = describe(had, recipe.adapter or backend, log=log)
    if recipe.kind == "interpreter":
        declared = identity["packages_sha256"]
        check_packages(had["python"], described["packages"], declared=declared)
    return {**had, **described, "environment_hash": sha256_of(identity)}


def own_interpreter(python: str, backend: str) -> dict[str, str]:
    """Return the user's interpreter as an environment."""
    path = Path(python).absolute()
    if not path.is_file():
        raise InputError(f"{path}: no such interpreter; correct backends.{backend}")
    return {"kind": "interpreter", "python": str(path)}


def describe(environment: Environment, backend: str, *, log: Path) -> dict[str, Any]:
    """Ask the engine for `engine_version` and `python_version`, and list its `packages`."""
    answer = ask_worker(environment, {"op": "describe", "backend": backend}, log=log)
    return {
        "python_version": answer["python_version"],
        "engine_version": answer["engine_version"],
        "packages": installed_packages(environment, log=log),
    }


def installed_packages(environment: Environment, *, log: Path = Path(os.devnull)) -> dict[str, str]:
    """Version of each package of an environment, without starting its engine (0.1 s)."""
    done = run_python(environment, ["-c", LIST_PACKAGES], deadline_s=LISTING_S, log=log)
    try:
        packages: dict[str, str] = json.loads(done.stdout)
    except ValueError as error:
        message = f"{place_of(environment)}: not a Python interpreter that works"
        raise InputError(message) from error
    return packages


def check_packages(python: str, packages: Mapping[str, str], *, declared: str) -> None:
    """Check that the user's environment holds the pinned packages."""
    found = packages_sha256(packages)
    if found != declared:
        raise InputError(
            f"{python}: its packages have packages_sha256 {found}, declared is {declared}; "
            "restore them, or pin the new ones (in the campaign, or with the `lock` target)"
        )


def package_list(packages: Mapping[str, str]) -> bytes:
    """A file of sorted `name==version` lines, names in their normal form (PEP 503)."""
    normal = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in packages.items()}
    return "".join(sorted(f"{name}=={version}\n" for name, version in normal.items())).encode()


def packages_sha256(packages: Mapping[str, str]) -> str:
    """Return the identity of a set of packages: the sha256 of their `package_list`."""
    return hashlib.sha256(package_list(packages)).hexdigest()


def keep_package_list(packages: Mapping[str, str], *, backend: str, results: Path) -> Path:
    """Keep the package list of an environment with the results that were measured in it.

    The file's sha256 is the `packages_sha256` that every result records, and its name has the
    first digits of it: results of two environments of one backend each find theirs.
    """
    short = packages_sha256(packages)[:12]
    path = results / "environment" / f"{backend}-{short}.txt"
    if not path.exists():
        write_atomically(path, package_list(packages))
    return path
