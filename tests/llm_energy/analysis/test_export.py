"""A series for other tools: every reading, units in the names, simulated ones marked."""

import csv
import dataclasses
import io

import pytest
from tests.llm_energy.power.made_power import GPU, reading

from llm_energy.analysis.export import export_campaign, line_protocol, main, write_csv
from llm_energy.power.meter import State
from llm_energy.power.series import Series
from llm_energy.power.series_file import write_series

DEVICE = dataclasses.replace(GPU, model="Made GPU, 80 GB", simulated=True)
SERIES = Series(
    (DEVICE,),
    (
        reading(0.5, energy_counter_joules=12.5, state=State(temperature_celsius=50.0)),
        reading(0.625, instant_power_watts=600.0),
        reading(0.75, unavailable={"instant_power_watts": "timeout"}),
    ),
    10.0,
)


def test_csv_has_a_line_for_each_reading_and_leaves_empty_what_was_not_there():
    file = io.StringIO()
    write_csv(SERIES, file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [row["monotonic_s"] for row in rows] == ["0.5", "0.625", "0.75"]
    assert [row["energy_counter_joules"] for row in rows] == ["12.5", "", ""]
    assert [row["instant_power_watts"] for row in rows] == ["", "600.0", ""]
    assert rows[0]["temperature_celsius"] == "50.0"
    assert {row["model"] for row in rows} == {"Made GPU, 80 GB"}
    assert {row["simulated"] for row in rows} == {"true"}


def test_line_protocol_has_a_point_for_each_reading_with_a_value():
    assert list(line_protocol(SERIES)) == [
        r"power,device=GPU-1,model=Made\ GPU\,\ 80\ GB,scope=gpu_board,simulated=true "
        "energy_counter_joules=12.5,temperature_celsius=50.0 1800000000500000000",
        r"power,device=GPU-1,model=Made\ GPU\,\ 80\ GB,scope=gpu_board,simulated=true "
        "instant_power_watts=600.0 1800000000625000000",
    ]


def test_what_a_series_belongs_to_becomes_tags():
    first = next(line_protocol(SERIES, identity={"experiment": "batch=1", "cycle": 2}))
    assert r"simulated=true,experiment=batch\=1,cycle=2 energy" in first


def test_a_campaign_is_exported_with_all_its_series(tmp_path):
    for cycle in (1, 2):
        identity = {"experiment": "e", "cycle": cycle}
        write_series(tmp_path, f"series/e/s/cycle-{cycle}.parquet", SERIES, identity=identity)
    written = export_campaign(tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in written]
    assert names == [f"export/e/s/cycle-{n}.{kind}" for n in (1, 2) for kind in ("csv", "lp")]
    assert written[0].read_text().count("\n") == 4
    assert ",cycle=2 " in written[3].read_text()


def test_a_campaign_without_series_exports_nothing(tmp_path):
    assert export_campaign(tmp_path) == []
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(("name", "lines"), [("csv", 4), ("line-protocol", 2)])
def test_a_file_is_exported_by_one_command(tmp_path, capsys, name, lines):
    write_series(tmp_path, "series.parquet", SERIES)
    main([str(tmp_path / "series.parquet"), "--format", name])
    assert len(capsys.readouterr().out.splitlines()) == lines


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path / "absent.parquet")])
    assert "absent.parquet: no such file" in capsys.readouterr().err
