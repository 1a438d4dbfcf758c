"""An engine that cannot be used is told in one line, with what helps."""

import socket
import threading

import docker.errors
import pytest

from llm_energy.containers.engine import DockerError, check_sources, connect, in_one_line, read_only


def test_no_engine_at_the_socket(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    with pytest.raises(DockerError, match=r"does not answer at .*nowhere\.sock; start it, or"):
        connect()


def test_an_engine_of_another_machine_is_refused(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://gpu-box:2375")
    with pytest.raises(DockerError, match="tcp://gpu-box:2375: only an engine of this host"):
        connect()


@pytest.fixture
def _at_the_usual_socket(monkeypatch):
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.mark.usefixtures("_at_the_usual_socket")
def test_a_socket_that_this_user_may_not_use():
    error = docker.errors.DockerException("Connection aborted. PermissionError(13, 'Permission')")
    assert "join the group docker" in in_one_line(error)


def test_something_else_at_the_socket(tmp_path, monkeypatch):
    """A server that answers every request with an error page."""
    path = str(tmp_path / "other.sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def answer():
        connection, _ = server.accept()
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nOops")
        connection.close()

    threading.Thread(target=answer, daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with pytest.raises(DockerError) as caught:
        connect()
    server.close()
    assert "\n" not in str(caught.value)
    assert "refused" in str(caught.value)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            'could not select device driver "" with capabilities: [[gpu]]',
            "nvidia-ctk runtime configure --runtime=docker",
        ),
        (
            "invalid mount config: bind source path does not exist: /data/models",
            "the host has no /data/models",
        ),
        ("write /var/lib/docker/x: no space left on device", "no space left on the disk"),
        (
            "container create: container-init binary not found on the host: stat "
            "/usr/libexec/podman/catatonit: no such file or directory",
            "install the package catatonit",
        ),
    ],
)
def test_refusals_of_the_engine_in_plain_words(said, told):
    assert told in in_one_line(docker.errors.APIError("500", explanation=said))


def test_podman_is_named_where_it_is_at_the_socket(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/podman/podman.sock")
    refused = docker.errors.APIError("500", explanation="container already exists")
    assert in_one_line(refused) == "Podman refused: container already exists"
    denied = docker.errors.DockerException("Connection aborted. PermissionError(13, 'Permission')")
    assert "start this user's own (systemctl --user start podman.socket)" in in_one_line(denied)
    gone = docker.errors.DockerException("Connection aborted. FileNotFoundError(2, 'No such')")
    assert "Podman does not answer at /run/user/1000/podman/podman.sock" in in_one_line(gone)


def test_a_source_that_is_missing_is_named_before_podman_makes_it(tmp_path):
    missing = tmp_path / "models"
    with pytest.raises(DockerError, match=f"the host has no {missing}, which is to be mounted"):
        check_sources([read_only(missing)])
    assert not missing.exists()
    missing.mkdir()
    check_sources([read_only(missing)])


@pytest.mark.usefixtures("_at_the_usual_socket")
def test_any_other_refusal_is_one_line():
    error = docker.errors.APIError("500", explanation="first\n  second")
    assert in_one_line(error) == "the Docker engine refused: first second"
