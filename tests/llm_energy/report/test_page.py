"""The report is one page that needs nothing beside itself and says what is missing."""

import base64
import gzip
import itertools
import json
import re
from html.parser import HTMLParser

import pytest
from tests.llm_energy import make_results, make_side_files
from tests.llm_energy.make_results import put_result

from llm_energy.analysis.aggregate import aggregate
from llm_energy.report.page import render_page, write_page, write_report
from llm_energy.results.layout import failure_path, result_path
from llm_energy.system.files import write_atomically

VOID = {"meta", "input", "br", "link", "img", "wbr"}


class Checker(HTMLParser):
    """Collects identifiers, anchors and addresses, and sees that every element is closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.identifiers, self.addresses = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.open += [] if tag in VOID else [tag]
        given = dict(attributes)
        self.identifiers += [given["id"]] if "id" in given else []
        self.addresses += [given[name] for name in ("href", "src", "xlink:href") if name in given]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)


@pytest.fixture
def page_of(summary_of):
    """The text of the report of a synthetic campaign, without figures, which take their time."""

    def make(*, partial=False, **options):
        return render_page(summary_of(**options), (), partial=partial)

    return make


@pytest.fixture(scope="module")
def page(whole):
    """The text of a whole report, figures and all, as the workflow makes it."""
    return render_page(whole.summary, whole.figures, partial=False)


class TestSelfContained:
    def test_it_needs_no_network_and_no_other_file(self, page):
        checker = Checker(page)
        outside = [a for a in checker.addresses if not a.startswith(("#", "data:"))]
        assert outside == []
        assert not re.search(r"@import|url\((?!#)", page)

    def test_every_figure_brings_its_files(self, page):
        names = re.findall(r'<figure id="figure-([^"]*)"', page)
        assert len(names) > 8
        for name, kind in itertools.product(names, ("svg.gz", "pdf", "png", "csv.gz")):
            assert page.count(f'download="{name}.{kind}"') == 1

    def test_packed_files_are_whole(self, page):
        (address,) = re.findall(
            r'download="throughput.csv.gz" data-type="text/csv" href="data:[^,]*,([^"]*)"', page
        )
        text = gzip.decompress(base64.b64decode(address)).decode()
        assert text.startswith("experiment,label,metric,unit,n,mean,t_low,t_high,cycles")

    def test_a_page_of_many_measurements_stays_small(self, page):
        assert len(page) < 2e6

    def test_it_is_well_formed_and_its_anchors_exist(self, page):
        checker = Checker(page)
        assert checker.open == []
        assert len(checker.identifiers) == len(set(checker.identifiers))
        targets = {a.removeprefix("#") for a in checker.addresses if a.startswith("#")}
        assert targets <= set(checker.identifiers)

    def test_equal_results_give_equal_pages(self, page_of):
        assert page_of() == page_of()

    def test_names_cannot_become_markup(self, page_of):
        page = page_of(experiments={"only": {"dtype": "<script>alert(1)</script>"}})
        assert "<script>alert" not in page


class TestContent:
    def test_no_meter_is_stated_once(self, page_of):
        assert page_of().count("No energy was measured;") == 1

    def test_every_result_has_unit_n_and_interval(self, page_of):
        page = page_of()
        assert "its 95 % intervals, for each experiment; one cycle gives none." in page
        assert re.search(r'<span class="title">Throughput</span> <span class="unit">tokens/s', page)

    def test_flags_are_explained(self, page_of):
        page = page_of(capped=[(make_results.REFERENCE, 1)])
        assert "warmup_capped" in page
        assert "1 of 12 measurements" in page
        assert "reached its time limit before the steady state was shown" in page

    def test_what_ran_out_of_memory_is_counted_and_shown(self, page_of):
        page = page_of(out_of_memory=["batch-by-length_batch4_out48"])
        assert "12 of 12 measurements, 3 of them out of memory, made" in page
        assert "failed to allocate 9 GiB" in page

    def test_nothing_but_out_of_memory_is_no_empty_campaign(self, page_of):
        page = page_of(experiments={"a": {}}, out_of_memory=["a"])
        assert "Every measurement that was made ended out of memory" in page
        assert "Nothing has been measured yet" not in page

    def test_what_is_wider_than_the_screen_scrolls_under_a_name(self, page):
        scrollers = re.findall(r'<div class="scroll[^>]*>', page)
        figures = len(re.findall(r"<figure id", page))
        assert len(scrollers) == len(re.findall(r"<table", page)) + figures
        for scroller in scrollers:
            assert 'tabindex="0" role="region"' in scroller
            assert "aria-label" in scroller

    def test_codes_may_break_and_are_found_by_their_name(self, page_of):
        page = page_of(capped=[(make_results.REFERENCE, 1)])
        assert "warmup_<wbr>capped</td>" in page
        assert "<code>measurement.warmup_cap_s</code> sets the limit" in page

    def test_equal_failures_are_reported_once_with_all_they_happened_to(self, tmp_path, page_of):
        for cycle in (1, 2):
            path = failure_path(result_path("0123456789ab", cycle), 1)
            record = {"reason": "backend_lost", "message": f"process {4000 + cycle} is gone"}
            write_atomically(tmp_path / path, json.dumps(record).encode())
        page = page_of()
        assert "<strong>2 attempts</strong>: <code>backend_lost</code>. process 4001" in page
        assert "process 4002" not in page
        assert "0123456789ab, cycle 2, attempt 1" in page

    def test_every_column_is_explained(self, page_of):
        page = page_of(metered=True)
        assert "Meaning of every column of the tables" in page
        assert "output_<wbr>tokens_<wbr>per_<wbr>second</td>" in page

    def test_power_of_each_measurement_is_there_only_with_a_meter(self, page, page_of):
        assert page.count('id="power-courses"') == 1
        assert "power-courses" not in page_of().partition("<script>")[0]

    def test_events_are_sentences(self, tmp_path, page_of):
        event = {"time": "2026-11-24T09:00:00Z", "kind": "backend_discarded"}
        event |= {"backend": "vllm", "reason": "it stopped answering"}
        record = {"run_id": "r", "events": [event]}
        write_atomically(tmp_path / "runs/r.json", json.dumps(record).encode())
        assert "2026-11-24 09:00 UTC: Backend vllm was ended, since" in page_of()

    def test_side_file_gaps_are_shown(self, tmp_path):
        result = make_side_files.with_side_files(tmp_path, make_results.make_result())
        path = make_results.path_of(result)
        put_result(tmp_path / path, result)
        (tmp_path / result.side_files["requests"].path).unlink()
        report = write_report(tmp_path, planned=[path], design=make_results.design(), partial=False)
        assert result.side_files["requests"].path in report.read_text()


class TestPartial:
    def test_it_lists_what_is_missing(self, page_of):
        page = page_of(partial=True, missing=[(make_results.REFERENCE, 2)])
        assert "This report is incomplete" in page
        assert "1 of 12 measurements are missing" in page
        assert f"<li>{make_results.REFERENCE}, <code>measurements/" in page

    def test_a_campaign_without_any_result_still_has_a_page(self, page_of):
        every = [(name, 1) for name in make_results.EXPERIMENTS]
        page = page_of(partial=True, cycles=1, missing=every)
        assert "Nothing has been measured yet" in page
        assert Checker(page).open == []

    def test_the_complete_report_replaces_it(self, tmp_path):
        assert write_page(tmp_path, "partial", partial=True).name == "report-partial.html"
        assert write_page(tmp_path, "whole", partial=False).name == "report.html"
        assert not (tmp_path / "report-partial.html").exists()

    def test_it_leaves_the_summary_of_the_workflow_alone(self, tmp_path):
        only = {make_results.REFERENCE: {}}
        planned = make_results.make_campaign(tmp_path, experiments=only, missing=[(*only, 2)])
        write_report(tmp_path, planned=planned, design=make_results.design(), partial=True)
        assert not (tmp_path / "summary").exists()
        assert not aggregate(
            tmp_path, planned=planned, design=make_results.design()
        ).findings.complete


@pytest.mark.parametrize(("metered", "look"), [(True, "notice warning"), (False, "notice")])
def test_what_the_energies_are_worth_stands_before_the_first_number(summary_of, metered, look):
    """Simulated ones must never be quoted; without any, the reader learns why."""
    text = render_page(summary_of(metered=metered), [], partial=False)
    notice = text.index(f'<p class="{look}" id="energy">')
    assert notice < text.index('id="verdict"') < text.index("</dd>")
    assert text.count('id="energy"') == 1
