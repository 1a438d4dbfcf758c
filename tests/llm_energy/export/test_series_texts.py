"""Series as files: every reading, units in the names, simulated ones marked."""

import csv
import dataclasses
import io

import pytest
from tests.llm_energy.export.made_campaign import columns_of, make_exported
from tests.llm_energy.power.made_power import GPU, reading

from llm_energy.export.channels import measured
from llm_energy.export.line_protocol import lines
from llm_energy.export.series_texts import export_campaign, main, write_csv
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


def test_csv_has_a_line_for_each_reading_and_leaves_empty_what_was_not_there(tmp_path):
    file = io.StringIO()
    write_csv(columns_of(tmp_path, SERIES), file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [row["monotonic_s"] for row in rows] == ["0.5", "0.625", "0.75"]
    assert [row["energy_counter_joules"] for row in rows] == ["12.5", "", ""]
    assert [row["instant_power_watts"] for row in rows] == ["", "600.0", ""]
    assert rows[0]["temperature_celsius"] == "50.0"
    assert {row["model"] for row in rows} == {"Made GPU, 80 GB"}
    assert {row["simulated"] for row in rows} == {"true"}


def test_a_campaign_is_exported_with_all_its_series(tmp_path):
    result = make_exported(tmp_path, cycles=1)[0]
    write_series(tmp_path, "series/of/no-result.parquet", SERIES)
    written = export_campaign(tmp_path)
    names = [path.relative_to(tmp_path / "export").as_posix() for path in written]
    own = f"{result.spec_hash}/cycle-01"
    assert names == [f"{own}.csv", f"{own}.lp", "of/no-result.csv"]
    assert written[2].read_text().count("\n") == 4
    points = written[1].read_text().splitlines()
    assert points == list(lines(next(measured(tmp_path))))


def test_a_campaign_without_series_exports_nothing(tmp_path):
    assert export_campaign(tmp_path) == []
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(("name", "lines"), [("csv", 4), ("line-protocol", 3)])
def test_a_file_is_exported_by_one_command(tmp_path, capsys, name, lines):
    write_series(tmp_path, "series.parquet", SERIES)
    main([str(tmp_path / "series.parquet"), "--format", name])
    assert len(capsys.readouterr().out.splitlines()) == lines


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path / "absent.parquet")])
    assert "absent.parquet: no such file" in capsys.readouterr().err
