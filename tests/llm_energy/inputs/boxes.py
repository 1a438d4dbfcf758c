"""A small checkout whose backend `llamacpp` is built into an image, with a package in its place.

Its Dockerfile is the one that comes with the workflow; the package lies in a folder that pip finds.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.llm_energy.inputs.packages import build_wheel, requirement

from llm_energy.campaign.backend_settings import BackendConfig
from llm_energy.campaign.identity import DEBIAN_RECIPE, Declared, environment_identity
from llm_energy.campaign.lock_file import Lock
from llm_energy.inputs.recipes import EnvironmentRecipe, environment_recipe

ROOT = Path(__file__).parents[3]
BACKEND = "llamacpp"


def make_box(root: Path, index: Path, *, dockerfile: str | None = None) -> Path:
    """Write the checkout below `root`, and the package into `index`."""
    folder = root / "envs" / BACKEND
    folder.mkdir(parents=True)
    (root / DEBIAN_RECIPE).parent.mkdir(parents=True)
    shutil.copy(ROOT / DEBIAN_RECIPE, root / DEBIAN_RECIPE)
    shipped = (ROOT / "envs" / BACKEND / "Dockerfile").read_text()
    (folder / "Dockerfile").write_text(shipped if dockerfile is None else dockerfile)
    # Images are found again by what defines them, so that each test needs a package of its own.
    module = f"__version__ = '1.0'  # {root}\n"
    wheel = build_wheel(index, "xllamacpp", "1.0", {"xllamacpp.py": module.encode()})
    (folder / "requirements.txt").write_text(requirement(wheel))
    return root


def plan_of(root: Path, **config: object) -> EnvironmentRecipe:
    """The plan of the backend's environment."""
    declared = BackendConfig.model_validate({"runtime": "docker", "base": "debian"} | config)
    identity = environment_identity(root, BACKEND, declared, Lock(), device="cpu")
    return environment_recipe(Declared(BACKEND, declared, identity), root, "cpu")


def pip_from(index: Path) -> Mapping[str, str]:
    """Variables of a pip that finds packages in one folder only."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": "/dev/null"}
