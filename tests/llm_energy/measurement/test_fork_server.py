"""The fork server runs a job as the job's script would, and nothing outlives script or server.

A job's work is Python code here, which stands where the name of its experiment would.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from llm_energy.measurement.fork_server import ForkServer
from llm_energy.measurement.measuring_job import SERVER_VARIABLE
from llm_energy.runs.run import Run
from llm_energy.system.processes import ENDS, ProcessId, wait_until_gone

SCRIPTS = Path(__file__).parents[3] / "scripts"
PATIENCE_S = 60.0
NO_SERVER = 99

SERVER = """
import socket, sys
from llm_energy.measurement.fork_server import serve

with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    print(flush=True)
    serve(listener, lambda job: exec(job.spec_hash))
"""
CLIENT = f"""
import sys
from llm_energy.measurement.measuring_job import MeasuringJob, run_forked

job = MeasuringJob("measure", [], "output", [], sys.argv[1], cycle=1, begun_s=0.0)
code = run_forked(job)
sys.exit({NO_SERVER} if code is None else code)
"""
WAITING = """
import os, signal, sys
for end in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(end, lambda number, _: sys.exit(number + 10))
print(os.getpid(), flush=True)
while True: signal.pause()
"""


@pytest.fixture
def server():
    """A fork server: its process, and the environment of its clients."""
    folder = tempfile.mkdtemp(dir="/tmp")  # the path of a socket is short
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-c", SERVER, f"{folder}/socket"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    yield process, environment | {SERVER_VARIABLE: command[-1]}
    process.kill()
    process.wait()
    process.stdout.close()
    shutil.rmtree(folder)


def start(server, code: str, **options) -> subprocess.Popen[str]:
    """Start the script of a job."""
    _, environment = server
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **{"env": environment} | options,
    )


def started(server, code: str) -> tuple[subprocess.Popen[str], ProcessId]:
    """Start the script of a job that prints its process id."""
    script = start(server, code)
    assert script.stdout is not None
    identity = ProcessId.of(int(script.stdout.readline()))
    assert identity is not None
    return script, identity


def test_a_job_has_streams_folder_and_environment_of_its_script(server, tmp_path):
    code = "import os, sys; print(os.read(0, 6).decode(), os.getcwd(), dict(os.environ)['MARK'])"
    code += "; print(os.environ.get('HOME'), file=sys.stderr)"
    environment = server[1] | {"MARK": "a mark \udcff"}
    del environment["HOME"]
    script = start(server, code, cwd=tmp_path, env=environment, errors="surrogateescape")
    seen = script.communicate("a line", timeout=PATIENCE_S)
    assert seen == (f"a line {tmp_path} a mark \udcff\n", "None\n")
    assert script.returncode == 0


@pytest.mark.parametrize(
    ("code", "exit_code", "message"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("raise ValueError('a defect')", 1, "ValueError: a defect"),
        ("import os; os.kill(os.getpid(), 9)", 128 + 9, ""),
    ],
)
def test_a_script_ends_as_its_job_does(server, code, exit_code, message):
    script = start(server, code)
    _, errors = script.communicate(timeout=PATIENCE_S)
    assert script.returncode == exit_code
    assert message in errors


@pytest.mark.parametrize("number", ENDS)
def test_a_signal_to_the_script_reaches_the_job(server, number):
    script, _ = started(server, WAITING)
    script.send_signal(number)
    script.communicate(timeout=PATIENCE_S)
    assert script.returncode == number + 10


def test_a_job_ends_with_its_script(server):
    script, job = started(server, WAITING)
    script.kill()
    script.communicate(timeout=PATIENCE_S)
    assert wait_until_gone(job, timeout_s=PATIENCE_S)


def test_a_job_ends_with_its_server_and_the_next_one_has_none(server):
    script, job = started(server, WAITING)
    server[0].kill()
    _, errors = script.communicate(timeout=PATIENCE_S)
    assert script.returncode == 1
    assert errors == "measure: the run's fork server ended, and this job with it\n"
    assert wait_until_gone(job, timeout_s=PATIENCE_S)
    script = start(server, "pass")
    script.communicate(timeout=PATIENCE_S)
    assert script.returncode == NO_SERVER


def test_jobs_run_side_by_side_and_a_broken_script_disturbs_none(server, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    reading = start(server, f"print(open({str(tmp_path / 'fifo')!r}).read())")
    with socket.socket(socket.AF_UNIX) as broken:
        broken.connect(server[1][SERVER_VARIABLE])
        broken.send(b"\1")
    writing = start(server, f"open({str(tmp_path / 'fifo')!r}, 'w').write('met')")
    assert reading.communicate(timeout=PATIENCE_S)[0] == "met\n"
    writing.communicate(timeout=PATIENCE_S)
    assert (reading.returncode, writing.returncode) == (0, 0)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that owns nothing yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SERVER_VARIABLE, raising=False)
    run = Run.create(campaign="nap", results=tmp_path / "results", scripts=SCRIPTS)
    yield run
    run.remove()


def test_a_server_ends_with_the_run(run):
    server = ForkServer(run)
    address = Path(os.environ[SERVER_VARIABLE])
    while not address.exists():
        assert server.process.poll() is None
        time.sleep(0.02)
    server.end()
    assert server.process.poll() is not None
    assert SERVER_VARIABLE not in os.environ


def test_code_that_changed_while_it_was_loaded_is_not_served(run):
    record = json.loads((run.folder / "run.json").read_text())
    run.write("run", record | {"code_digest": "of older code"})
    server = ForkServer(run)
    assert server.process.wait(timeout=PATIENCE_S) == 1
    assert not Path(os.environ[SERVER_VARIABLE]).exists()
    server.end()
    log = (run.folder / "fork_server.log").read_text()
    assert log == "the measuring code was changed while it was loaded\n"


def test_a_server_dies_with_the_process_that_started_it(run):
    code = (
        "import signal, sys; from pathlib import Path;"
        "from llm_energy.measurement.fork_server import ForkServer;"
        "from llm_energy.runs.run import Run;"
        "print(ForkServer(Run(Path(sys.argv[1]))).process.pid, flush=True); signal.pause()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(run.folder)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
    )
    assert owner.stdout is not None
    server = ProcessId.of(int(owner.stdout.readline()))
    assert server is not None
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    assert wait_until_gone(server, timeout_s=PATIENCE_S)
