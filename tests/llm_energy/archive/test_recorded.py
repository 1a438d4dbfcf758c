"""Jobs that Snakemake's metadata tell of, in records as Snakemake names them."""

import json
from base64 import urlsafe_b64encode

import pytest

from llm_energy.archive.recorded import NEEDED, read_record, recorded_jobs

REPORT = {
    "rule": "report",
    "input": ["results/nap/figures", ".cache/models/m/ready.json"],
    "log": ["logs/nap/report.log"],
    "starttime": 1000.5,
    "endtime": 1002.25,
    "incomplete": False,
}
MODEL = REPORT | {"rule": "model", "input": [], "log": ["logs/models/m.log"]}


def put(folder, target, record):
    (folder / urlsafe_b64encode(target.encode()).decode()).write_text(json.dumps(record))


def files_of(path):
    return {
        "results/nap/report.html": ["results/nap/report.html"],
        "results/nap/figures": ["results/nap/figures/a.svg"],
        ".cache/models/m/ready.json": ["results/nap/environment/model-m.json"],
    }.get(path, [])


def test_a_job_is_reported_with_what_it_read_and_made_and_when(tmp_path):
    put(tmp_path, "results/nap/report.html", REPORT)
    (job,) = recorded_jobs(["results/nap/report.html"], files_of, metadata=tmp_path)
    assert (job.step, job.outputs) == ("report", ("results/nap/report.html",))
    assert job.inputs == ("results/nap/figures/a.svg", "results/nap/environment/model-m.json")
    assert job.started == "1970-01-01T00:16:40.500+00:00"
    assert job.ended == "1970-01-01T00:16:42.250+00:00"


def test_what_it_needed_from_the_cache_has_jobs_too(tmp_path):
    put(tmp_path, "results/nap/report.html", REPORT)
    put(tmp_path, ".cache/models/m/ready.json", MODEL)
    jobs = recorded_jobs(["results/nap/report.html"], files_of, metadata=tmp_path)
    assert {job.step: job.outputs for job in jobs} == {
        "report": ("results/nap/report.html",),
        "model": ("results/nap/environment/model-m.json",),
    }


def test_outputs_of_one_job_are_one_job(tmp_path):
    for name, later in (("a.csv", 0.0), ("b.csv", 0.001)):
        times = {"starttime": 1000.0 + later, "endtime": 1001.0 + later}
        put(tmp_path, name, REPORT | times | {"input": []})
    (job,) = recorded_jobs(["b.csv", "a.csv"], lambda path: [path], metadata=tmp_path)
    assert job.outputs == ("a.csv", "b.csv")
    assert (job.started, job.ended) == (
        "1970-01-01T00:16:40.000+00:00",
        "1970-01-01T00:16:41.001+00:00",
    )


@pytest.mark.parametrize(
    "other",
    [{"incomplete": True}, {"endtime": None}, {"rule": "measure"}, {"rule": "renamed_since"}],
)
def test_records_of_no_complete_job_of_another_kind_are_left_out(tmp_path, other):
    put(tmp_path, "results/nap/report.html", REPORT | other)
    assert list(recorded_jobs(["results/nap/report.html"], files_of, metadata=tmp_path)) == []


def test_without_metadata_there_are_none(tmp_path):
    assert list(recorded_jobs(["a"], files_of, metadata=tmp_path / "none")) == []


def test_long_names_are_found_where_snakemake_puts_them(tmp_path):
    """As its `_record_path` does: parts of 254 characters, all but the last with an @."""
    target = f"results/{'x' * 100}/decisions/{'y' * 100}/0123456789ab/decision.json"
    name = urlsafe_b64encode(target.encode()).decode()
    (tmp_path / f"@{name[:254]}").mkdir()
    path, content = tmp_path / f"@{name[:254]}" / name[254:], dict.fromkeys(NEEDED, 1)
    path.write_text(json.dumps(content | {"rule": "decide"}))
    record = read_record(target, tmp_path)
    assert record is not None
    assert record["rule"] == "decide"
    path.write_text("")  # by a host that lost its power
    assert read_record(target, tmp_path) is None
