"""A series for other tools: every reading, units in the names, simulated ones marked."""

import csv
import dataclasses
import io

import pytest
from made_power import GPU, reading

from llm_energy.power.export import line_protocol, main, write_csv
from llm_energy.power.meter import State
from llm_energy.power.parquet import write_series
from llm_energy.power.series import Series

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


@pytest.mark.parametrize(("name", "lines"), [("csv", 4), ("line-protocol", 2)])
def test_a_file_is_exported_by_one_command(tmp_path, capsys, name, lines):
    write_series(tmp_path, "series.parquet", SERIES)
    main([str(tmp_path / "series.parquet"), "--format", name])
    assert len(capsys.readouterr().out.splitlines()) == lines


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path / "absent.parquet")])
    assert "absent.parquet: no such file" in capsys.readouterr().err
