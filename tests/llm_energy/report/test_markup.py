"""Rows of tables as parts of a page."""

import base64
import gzip

from llm_energy.report import markup
from llm_energy.report.markup import first_rows, further_rows
from llm_energy.report.page_tables import Cell, Column, Table, measurements_table

PREFIX = "data:application/gzip;base64,"


def test_the_rows_in_the_page_and_those_by_pages_are_all_rows(whole, monkeypatch):
    table = measurements_table(whole.summary)
    assert further_rows(table) is None
    everything = first_rows(table)
    monkeypatch.setattr(markup, "PAGE_ROWS", 5)
    further = further_rows(table)
    assert further.startswith(PREFIX)
    text = gzip.decompress(base64.b64decode(further.removeprefix(PREFIX))).decode()
    assert text.count("<tr>") == len(table.rows) - 5
    assert str(first_rows(table)) + text == everything


def test_a_row_says_what_it_is_sorted_by_and_takes_no_text_for_tags():
    columns = [Column("Experiment", numeric=False), Column("Power", "W"), Column("Note", "", False)]
    row = [Cell("a_b", sort="<a>"), Cell("1.2", "0 to 2", 1.23456789012), Cell("<b>")]
    assert first_rows(Table(columns, [row])) == (
        '<tr>\n<th scope="row" data-sort="&lt;a&gt;">a_<wbr>b</th>\n'
        '<td class="number" data-sort="1.23456789">1.2<small>0 to 2</small></td>\n'
        "<td>&lt;b&gt;</td>\n</tr>\n"
    )
