"""Where this user's pip gets packages from, as far as it matters in an image."""

from pathlib import Path

import pytest

from llm_energy.inputs.pip_settings import pip_settings, settings_from


def test_the_variable_wins_over_the_file_and_install_over_global() -> None:
    listed = (
        ":env:.index-url='https://third.example/simple'\n"
        "global.index-url='https://first.example/simple'\n"
        "install.index-url='https://second.example/simple'\n"
    )
    assert settings_from(listed, {}).options == {"index-url": ("https://third.example/simple",)}


def test_an_index_on_this_host_is_left_out() -> None:
    listed = "global.extra-index-url='file:///opt/simple https://a.example/simple'\n"
    settings = settings_from(listed, {})
    assert settings.options == {"extra-index-url": ("https://a.example/simple",)}


def test_what_means_nothing_in_an_image_is_left_out() -> None:
    listed = ":env:.disable-pip-version-check='1'\nglobal.constraint='/etc/constraints.txt'\n"
    assert settings_from(listed, {}).options == {}


def test_folders_with_wheels_are_reported_from_pages_with_links(tmp_path: Path) -> None:
    listed = f"global.find-links='\\n{tmp_path}\\nfile://{tmp_path}/a%20b\\nhttps://c.example/'\n"
    (tmp_path / "a b").mkdir()
    settings = settings_from(listed, {})
    assert settings.folders == (tmp_path, tmp_path / "a b")
    assert settings.options == {"find-links": ("https://c.example/",)}


def test_a_folder_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    assert settings_from(f"global.find-links='{tmp_path}/none'\n", {}).folders == ()


def test_a_line_that_is_no_setting_is_passed_over() -> None:
    listed = "WARNING: something\nglobal.index-url='https://a.example'\n"
    assert settings_from(listed, {}).options == {"index-url": ("https://a.example",)}


def test_certificates_are_the_declared_ones_or_those_that_a_variable_names(tmp_path: Path) -> None:
    first, second = tmp_path / "first.crt", tmp_path / "second.crt"
    first.touch()
    second.touch()
    variables = {"SSL_CERT_FILE": str(second)}
    assert settings_from(f"global.cert='{first}'\n", variables).certificates == first
    assert settings_from("", variables).certificates == second
    assert settings_from(f"global.cert='{tmp_path}/none'\n", variables).certificates == second


def test_they_are_read_from_the_pip_of_the_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine.example/simple")
    assert pip_settings().options["index-url"] == ("https://mine.example/simple",)
