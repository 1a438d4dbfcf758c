"""A model of several GGUF files: all of them are fetched, and one alone is refused."""

from pathlib import Path
from typing import Any

import pytest
from tests.llm_energy.inputs.hub_server import HubServer, Repository
from tests.llm_energy.inputs.made_models import GGUF, WEIGHTS, prepare, target

from llm_energy.campaign.declared_inputs import HubSource, PackageSource, PathSource
from llm_energy.inputs.checksums import write_marker
from llm_energy.inputs.models import (
    convert_model,
    local_facts,
    local_files,
    local_sha256,
    verify_model,
)
from llm_energy.system.errors import ModelError

__all__ = ["target"]


class TestInParts:
    """A GGUF model in several files, of which the first is named."""

    @pytest.fixture
    def parts(self, tmp_path: Path) -> list[Path]:
        folder = tmp_path / "parts"
        folder.mkdir()
        paths = [folder / f"big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
        for number, path in enumerate(paths):
            path.write_bytes(WEIGHTS + bytes(number))
        return paths

    @staticmethod
    def pinned(path: Path) -> dict[str, Any]:
        return {"sha256": local_sha256(path, local_facts(path)), "format": "gguf"}

    @pytest.mark.parametrize("named", [0, 1, 2])
    def test_all_are_prepared_and_the_first_is_loaded(
        self, target: Path, parts: list[Path], named: int
    ) -> None:
        source = PathSource(path=str(parts[named]))
        model = verify_model(prepare(source, self.pinned(parts[0]), target))
        assert model.path == parts[0]
        assert list(model.files) == parts == local_files(source)

    def test_a_part_that_changes_is_refused(self, target: Path, parts: list[Path]) -> None:
        source, pin = PathSource(path=str(parts[0])), self.pinned(parts[0])
        marker = prepare(source, pin, target)
        parts[2].write_bytes(b"GGUF, but another")
        with pytest.raises(ModelError, match=r"big-00003-of-00003\.gguf is not the file that was"):
            verify_model(marker)
        with pytest.raises(ModelError, match=r"has sha256 .*, declared is .*; restore the files"):
            prepare(source, pin, target)

    def test_a_part_that_is_missing_is_named(self, parts: list[Path]) -> None:
        parts[1].unlink()
        with pytest.raises(ModelError, match=r"big-00002-of-00003\.gguf: No such file"):
            local_facts(parts[0])

    def test_its_identity_is_not_its_name(self, parts: list[Path]) -> None:
        before = self.pinned(parts[0])
        renamed = [path.with_name(path.name.replace("big", "other")) for path in parts]
        for path, new in zip(parts, renamed, strict=True):
            path.rename(new)
        assert self.pinned(renamed[0]) == before

    def test_the_hub_gives_all_where_one_is_named(
        self, target: Path, hub_server: HubServer
    ) -> None:
        names = [f"q/m-0000{number}-of-00002.gguf" for number in (1, 2)]
        hub_server.repositories["org/big"] = Repository(dict.fromkeys(names, WEIGHTS))
        identity = {"hub": "org/big", "revision": "a" * 40, "files": names[:1], "format": "gguf"}
        model = verify_model(prepare(HubSource(hub="org/big", files=names[:1]), identity, target))
        assert [path.name for path in model.files] == [name[2:] for name in names]
        assert model.path == model.files[0]

    def test_one_of_a_package_is_refused(self, target: Path) -> None:
        source = PackageSource(package="big", version="1", file="big/m-00001-of-00002.gguf")
        with pytest.raises(ModelError, match="is one part of several; unpack the package"):
            prepare(source, GGUF, target)

    def test_they_are_not_converted(self, target: Path, parts: list[Path]) -> None:
        marker = prepare(PathSource(path=str(parts[0])), self.pinned(parts[0]), target)
        environment = target / "environment.json"
        write_marker(environment, {"kind": "venv", "python": "/nowhere"})
        with pytest.raises(ModelError, match="a GGUF model in 3 parts cannot be converted; join"):
            convert_model(
                {}, model=marker, environment=environment, target=target, log=target / "log"
            )
