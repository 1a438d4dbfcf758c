"""Images that engines run in, made by the real Docker engine."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import pytest
from tests.llm_energy.inputs.boxes import BACKEND, make_box, pip_from, plan_of
from tests.llm_energy.inputs.packages import build_wheel

from llm_energy.containers.images import MADE, find
from llm_energy.inputs.environment import prepare_environment
from llm_energy.inputs.image import (
    base_name,
    docker_engine,
    explain_build,
    find_image,
    prepare_image,
    reference_of,
)
from llm_energy.inputs.recipes import EnvironmentRecipe
from llm_energy.system.errors import InputError
from llm_energy.system.files import sha256_of

SECRET = "https://user:secret@index.invalid/simple"


@dataclass(frozen=True)
class Box:
    """An environment in an image that was built."""

    root: Path
    index: Path
    plan: EnvironmentRecipe
    marker: dict[str, Any]
    log: Path


def remove_image(engine: docker.DockerClient, plan: EnvironmentRecipe) -> None:
    image = find(engine, reference_of(plan))
    if image is not None:
        engine.images.remove(image.id, force=True)


@pytest.fixture(scope="module")
def box(
    engine: docker.DockerClient, debian: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Box]:
    assert debian
    folder = tmp_path_factory.mktemp("box")
    root, index, log = make_box(folder / "root", folder / "index"), folder / "index", folder / "log"
    plan = plan_of(root)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in pip_from(index).items():
            patch.setenv(name, value)
        patch.setenv("PIP_EXTRA_INDEX_URL", SECRET)
        patch.chdir(folder)
        marker = prepare_environment(plan, root=root, target=folder, log=log)
    yield Box(root, index, plan, marker, log)
    remove_image(engine, plan)


@pytest.fixture
def building(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debian: str, engine: docker.DockerClient
) -> Iterator[Any]:
    """Builds a checkout's image from a Dockerfile of the test's own."""
    assert debian
    index = tmp_path / "index"
    for name, value in pip_from(index).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    plans = []

    def build(
        dockerfile: str | None = None,
        spoil: Callable[[Path], object] = lambda _: None,
        **config: object,
    ) -> dict[str, Any]:
        root = make_box(tmp_path / "root", index, dockerfile=dockerfile)
        spoil(index)
        plans.append(plan_of(root, **config))
        return prepare_image(plans[0], root=root, target=tmp_path, log=tmp_path / "log")

    yield build
    for plan in plans:
        remove_image(engine, plan)


def test_the_image_holds_the_pinned_packages_and_nothing_else(box: Box) -> None:
    assert box.marker["packages"] == {"xllamacpp": "1.0"}
    assert box.marker["engine_version"] == "xllamacpp 1.0"
    assert box.marker["python"] == "/opt/engine/bin/python3"
    assert box.marker["python_version"].startswith("3.11.")


def test_the_marker_says_which_image_it_is_and_what_it_was_built_on(
    box: Box, engine: docker.DockerClient, debian: str
) -> None:
    assert box.marker["kind"] == "image"
    assert box.marker["image"] == engine.images.get(box.marker["reference"]).id
    assert box.marker["reference"] == f"llm-energy/{BACKEND}:{sha256_of(box.plan.identity)[:12]}"
    assert box.marker["base"] == "debian"
    assert box.marker["base_image"] == engine.images.get(debian).id
    assert box.marker["repo_digest"] is None
    assert box.marker["environment_hash"] == sha256_of(box.plan.identity)
    json.dumps(box.marker)


def test_where_packages_came_from_is_not_in_the_image(
    box: Box, engine: docker.DockerClient
) -> None:
    image = engine.images.get(box.marker["image"])
    told = json.dumps([image.attrs, image.history()])
    assert "secret" not in told
    assert "index.invalid" not in told
    run = engine.containers.run
    assert run(image.id, ["sh", "-c", "ls -d /context || true"], remove=True) == b""


def test_what_the_build_made_on_the_way_is_gone(box: Box, engine: docker.DockerClient) -> None:
    made = MADE.findall(box.log.read_text())
    assert made
    # One that other builds make meanwhile may be gone when it is looked at on its own.
    listed = engine.api.images(filters={"dangling": True})
    left = [image["Id"].partition(":")[2] for image in listed]
    assert not [image for image in left if image.startswith(tuple(made))]


def test_no_layer_holds_the_password_of_the_package_index(
    box: Box, engine: docker.DockerClient
) -> None:
    saved = b"".join(engine.api.get_image(box.marker["image"]))
    content = b""
    with tarfile.open(fileobj=io.BytesIO(saved)) as image:
        for member in filter(tarfile.TarInfo.isfile, image):
            part = image.extractfile(member)
            assert part is not None
            data = part.read()
            content += gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    assert b"xllamacpp-1.0.dist-info" in content  # the layers are in there
    assert b"user:secret" not in content


def test_an_image_that_is_there_is_not_built_again(box: Box, tmp_path: Path) -> None:
    log = tmp_path / "log"
    again = prepare_image(box.plan, root=box.root, target=tmp_path, log=log)
    assert again["image"] == box.marker["image"]
    assert "FROM" not in log.read_text()


def test_another_image_under_its_tag_is_not_taken_for_it(
    box: Box, engine: docker.DockerClient, debian: str
) -> None:
    other = replace(box.plan, identity={"Dockerfile": "another"})
    assert engine.images.get(debian).tag(reference_of(other))
    try:
        assert find_image(engine, other) is None
    finally:
        engine.images.remove(reference_of(other))
    assert find_image(engine, box.plan) is not None


def test_an_image_of_the_users_own_by_its_id(box: Box, tmp_path: Path) -> None:
    own = {"image": box.marker["image"], "python": "python3"}
    plan = plan_of(box.root, environment=own, base=None)
    found = prepare_image(plan, root=box.root, target=tmp_path, log=tmp_path / "log")
    assert found["image"] == found["reference"] == box.marker["image"]
    assert found["python"] == "/opt/engine/bin/python3"


@pytest.mark.parametrize(
    ("python", "told"),
    [("python4", "has no python4; name its inter"), ("false", "is no Python that works; correct")],
)
def test_an_interpreter_that_is_none(box: Box, tmp_path: Path, python: str, told: str) -> None:
    own = {"image": box.marker["image"], "python": python}
    plan = plan_of(box.root, environment=own, base=None)
    with pytest.raises(InputError, match=rf"{told}.* backends\.llamacpp\.environment\.python"):
        prepare_image(plan, root=box.root, target=tmp_path, log=tmp_path / "log")


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (f"sha256:{'0' * 64}", "this machine has no .*load it"),
        (f"127.0.0.1:1/none@sha256:{'0' * 64}", "not on this machine and cannot be pulled: "),
    ],
)
def test_an_image_that_cannot_be_had(
    engine: docker.DockerClient, tmp_path: Path, image: str, told: str
) -> None:
    assert engine
    root = make_box(tmp_path / "root", tmp_path / "index")
    plan = plan_of(root, environment={"image": image}, base=None)
    with pytest.raises(InputError, match=f"environment.image: .*{told}") as error:
        prepare_image(plan, root=root, target=tmp_path, log=tmp_path / "log")
    assert "\n" not in str(error.value)


def test_a_base_that_cannot_be_had(building: Any) -> None:
    with pytest.raises(
        InputError, match=r"127\.0\.0\.1:1/none:1 of envs/llamacpp/Docker.*not on t"
    ):
        building(base="127.0.0.1:1/none:1")


def test_a_wheel_that_is_not_the_pinned_one_is_not_used(building: Any) -> None:
    def spoil(index: Path) -> None:
        build_wheel(index, "xllamacpp", "1.0", {"xllamacpp.py": b"another = True"})

    with pytest.raises(InputError, match=r"the package index has no xllamacpp==1\.0"):
        building(spoil=spoil)


def test_a_step_that_fails_is_reported_with_its_last_words(building: Any, tmp_path: Path) -> None:
    dockerfile = "ARG BASE=debian\nFROM ${BASE}\nRUN echo E: no such package >&2; exit 7\n"
    with pytest.raises(InputError) as error:
        building(dockerfile)
    assert str(error.value) == (
        f"building envs/llamacpp/Dockerfile failed: E: no such package (log: {tmp_path / 'log'})"
    )


def test_a_mistake_in_a_dockerfile_is_reported(building: Any) -> None:
    with pytest.raises(InputError, match=r"Dockerfile failed: .*unknown instruction: FORM"):
        building("ARG BASE=debian\nFORM ${BASE}\n")


def test_a_file_that_does_not_define_the_environment_is_not_in_the_context(building: Any) -> None:
    with pytest.raises(InputError, match=r"Dockerfile failed: COPY failed: .*patch\.diff"):
        building("ARG BASE=debian\nFROM ${BASE}\nCOPY patch.diff /\n")


def test_a_dockerfile_that_takes_no_base() -> None:
    plan = EnvironmentRecipe("toy", {}, "build", "envs/toy", "cpu", base="debian")
    with pytest.raises(InputError, match=r"envs/toy/Dockerfile has no line `ARG BASE=IMAGE`"):
        base_name(plan, "FROM python:3.11\n")
    assert base_name(replace(plan, base=None), "FROM python:3.11\n") is None
    assert base_name(replace(plan, base=None), "ARG BASE=a:1\nFROM ${BASE}\n") == "a:1"


def test_an_engine_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(InputError, match="does not answer at /nowhere"), docker_engine():
        pass


@pytest.mark.parametrize(
    ("message", "output", "told"),
    [
        ("no such host", "Step 1/2 : FROM x\n", "no such host"),
        ("returned a non-zero code: 1", "Step 2/2 : RUN x\nfirst\nlast\n", "last"),
        (
            "returned a non-zero code: 1",
            "Step 2/2 : RUN python3 -m pip x\nERROR: No matching distribution found for a\n",
            "the package index has no a",
        ),
        ("x", "write /a: No space left on device\n", "no space left on the disk of the Docker"),
        ("returned a non-zero code: 1", "", "returned a non-zero code: 1"),
        (
            'building at STEP "RUN pip install x": while running runtime: exit status 1',
            "[1/2] STEP 3/4: RUN python3 -m pip install x\n"
            "ERROR: No matching distribution found for x==1\n",
            "the package index has no x==1 for Python",
        ),
        (
            'building at STEP "RUN true; exit 7": while running runtime: exit status 7',
            "STEP 2/3: RUN echo a\na\n--> 34315dea5b3\n"
            "STEP 3/3: RUN true; exit 7\nERROR: bad\nout\n",
            "ERROR: bad",
        ),
    ],
)
def test_why_a_build_failed(message: str, output: str, told: str) -> None:
    assert told in explain_build(message, output)
