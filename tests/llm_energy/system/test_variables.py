"""Variables of the user: no secret goes to an engine, and what may change it is on record."""

from pathlib import Path

import pytest

from llm_energy.system.variables import decisive, is_secret, passed_on, shown, with_decisive


@pytest.mark.parametrize(
    "name",
    [
        *("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"),
        *("GITHUB_TOKEN", "HUGGING_FACE_HUB_TOKEN", "PGPASSWORD", "MY_PASSWD", "SSH_PASSPHRASE"),
        *("GOOGLE_APPLICATION_CREDENTIALS", "APIKEY", "VLLM_API_KEY", "wandb_api_key", "TOKEN"),
    ],
)
def test_names_of_secrets(name):
    assert is_secret(name)
    assert passed_on({name: "s", "HOME": "/h"}) == {"HOME": "/h"}
    assert passed_on({name: "s"}, secrets=[name]) == {name: "s"}
    assert decisive({name: "s"}) == {}


@pytest.mark.parametrize(
    "name", ["TOKENIZERS_PARALLELISM", "KEYBOARD", "PATH", "PWD", "VLLM_MAX_TOKENS", "MONKEY"]
)
def test_names_that_only_look_like_it(name):
    assert not is_secret(name)


@pytest.mark.parametrize("name", ["HF_TOKEN", "HF_HOME", "PIP_INDEX_URL", "REDFISH_USERNAME"])
def test_those_of_registries_and_controllers_stay_whoever_wants_them(name):
    assert passed_on({name: "s"}, secrets=[name]) == decisive({name: "s"}) == {}


def test_what_may_change_an_engine_is_found_in_order():
    user = {"OMP_NUM_THREADS": "4", "LANG": "C", "CUDA_VISIBLE_DEVICES": "1", "LD_PRELOAD": "l.so"}
    assert list(decisive(user)) == ["CUDA_VISIBLE_DEVICES", "LD_PRELOAD", "OMP_NUM_THREADS"]


def test_an_engine_has_the_users_variables_and_no_others_of_that_kind():
    """Snakemake sets OMP_NUM_THREADS in its jobs: some engines are started there, others not."""
    of_a_job = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "LANG": "C"}
    assert with_decisive(of_a_job, {}) == {"LANG": "C"}
    user = {"OMP_NUM_THREADS": "4"}
    assert with_decisive(of_a_job, user) == {"LANG": "C", "OMP_NUM_THREADS": "4"}


def test_a_record_has_no_folder_of_the_user_and_no_user_of_a_url(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert Path.home() == Path("/home/ada")
    variables = {
        "LD_LIBRARY_PATH": "/home/ada/lib:/home/ada:/home/adam/lib:/opt/lib",
        "OLLAMA_HOST": "http://ada:secret@host:1/x",
        "OMP_NUM_THREADS": "4",
    }
    assert shown(variables) == {
        "LD_LIBRARY_PATH": "~/lib:~:/home/adam/lib:/opt/lib",
        "OLLAMA_HOST": "http://host:1/x",
        "OMP_NUM_THREADS": "4",
    }
    monkeypatch.setenv("HOME", "/")
    assert shown({"LD_PRELOAD": "/lib/x.so"}) == {"LD_PRELOAD": "/lib/x.so"}
