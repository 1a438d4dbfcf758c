"""The page in a real browser, without a network: it opens, sorts, filters, draws and downloads."""

import pytest
from tests.browser import DESKTOP, PHONE, Browser
from tests.waiting import wait_until

from llm_energy.report import markup
from llm_energy.report.page import render_page, write_page

OPEN = """document.querySelector(".courses").open"""
FIRST = """[...document.querySelectorAll("#results-table tbody tr")]
  .map((row) => row.cells[0].textContent)"""
SHOWN = """[...document.querySelectorAll("#measurements-table tbody tr")]
  .filter((row) => !row.hidden).length"""
INPUT = """document.querySelector('[aria-controls="measurements-table"]')"""
TYPED = f"""{INPUT}.value = "%s"; {INPUT}.dispatchEvent(new Event("input"))"""
FILTERED = f"""{INPUT}.closest(".filter").querySelector("output").textContent"""


@pytest.fixture(scope="module")
def page(whole, tmp_path_factory):
    text = render_page(whole.summary, whole.figures, partial=False)
    return write_page(tmp_path_factory.mktemp("page"), text, partial=False)


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@pytest.mark.parametrize("dark", [False, True])
def test_it_opens_without_a_complaint_and_asks_nobody_for_anything(browser, page, dark):
    browser.open(page, dark=dark)
    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]
    assert browser.evaluate("document.querySelectorAll('main figure svg').length") > 10


def test_light_and_dark_are_both_readable(browser, page):
    contrast = """(() => {
      const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(channel);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const paper = light(getComputedStyle(document.body).backgroundColor);
      const inks = ["body", ".caption", "a", ".unit", "td small", "figcaption"].map((name) =>
        light(getComputedStyle(document.querySelector(name)).color));
      return Math.min(...inks.map((ink) =>
        (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)));
    })()"""
    for dark in (False, True):
        browser.open(page, dark=dark)
        assert browser.evaluate(contrast) >= 4.5  # WCAG 2.2, level AA


def test_a_table_wider_than_the_text_is_seen_from_edge_to_edge(browser, page):
    browser.open(page, screen=DESKTOP | {"width": 1400})
    seen = """[...document.querySelectorAll(".wide")]
      .filter((table) => !table.closest("details:not([open])"))
      .map((table) => {
        table.scrollIntoView({behavior: "instant"});
        const box = table.getBoundingClientRect();
        return box.width > 1000 && [box.left + 5, box.right - 5].every(
          (x) => table.contains(document.elementFromPoint(x, box.top + 20)));
      })"""
    found = browser.evaluate(seen)
    assert found
    assert all(found)


def test_a_click_on_a_heading_sorts_and_the_next_one_turns_it_round(browser, page):
    browser.open(page)
    heading = """document.querySelectorAll("#results-table th button")[4]"""
    browser.evaluate(f"{heading}.click()")
    ascending = browser.evaluate(FIRST)
    browser.evaluate(f"{heading}.click()")
    assert browser.evaluate(FIRST) == ascending[::-1]
    assert ascending[0] == "batch1 out16"
    sort = """document.querySelectorAll("#results-table th")[4].getAttribute("aria-sort")"""
    assert browser.evaluate(sort) == "descending"


def test_a_filter_shows_the_rows_that_hold_every_word(browser, page):
    browser.open(page)
    assert browser.evaluate(SHOWN) == 12
    browser.evaluate(TYPED % "OUT48 batch4")
    browser.until(FILTERED, "3 of 12 rows")
    assert browser.evaluate(SHOWN) == 3


@pytest.fixture(scope="module")
def paged(whole, tmp_path_factory):
    """The same page with tables of five rows that stand in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markup, "PAGE_ROWS", 5)
        text = render_page(whole.summary, whole.figures, partial=False)
    return write_page(tmp_path_factory.mktemp("paged"), text, partial=False)


ORDERS = """[...document.querySelectorAll("#measurements-table tbody tr")]
  .map((row) => Number(row.cells[0].textContent))"""
PAGES = (
    """document.querySelector("#measurements-table").closest("section").querySelector(".pages")"""
)
CLICK = f"""{PAGES}.querySelector("[data-step='%d']").click()"""
ROWS = f"""{PAGES}.querySelector("output").textContent"""


def test_a_long_table_has_its_rows_by_pages(browser, paged):
    browser.open(paged)
    assert browser.evaluate(ORDERS) == [1, 2, 3, 4, 5]
    browser.evaluate(CLICK % 1)
    browser.until(ROWS, "Rows 6 to 10 of 12")
    assert browser.evaluate(ORDERS) == [6, 7, 8, 9, 10]
    browser.evaluate(CLICK % 1)
    browser.until(ROWS, "Rows 11 to 12 of 12")
    assert browser.evaluate(f"""{PAGES}.querySelector("[data-step='1']").disabled""")
    browser.evaluate(CLICK % -1)
    browser.until(ROWS, "Rows 6 to 10 of 12")
    assert browser.complaints() == []


def test_a_long_table_is_sorted_and_filtered_as_a_whole(browser, paged):
    browser.open(paged)
    heading = """document.querySelectorAll("#measurements-table th button")[0]"""
    browser.evaluate(f"{heading}.click()")
    browser.evaluate(f"{heading}.click()")
    browser.until(ORDERS, [12, 11, 10, 9, 8])
    browser.evaluate(TYPED % "batch4")
    browser.until(FILTERED, "6 of 12 rows")
    assert browser.evaluate(ROWS) == "Rows 1 to 5 of 6"


def test_a_row_of_a_further_page_leads_to_its_power(browser, paged):
    browser.open(paged)
    browser.evaluate(CLICK % 1)
    browser.until(ROWS, "Rows 6 to 10 of 12")
    browser.evaluate("""document.querySelector("#measurements-table td.leads").click()""")
    browser.until(OPEN)
    row = """document.querySelector("#measurements-table tbody tr")"""
    name = browser.evaluate(f"{row}.cells[1].textContent")
    cycle = browser.evaluate(f"{row}.cells[2].textContent")
    shown = browser.evaluate("""document.querySelector(".courses .what").textContent""")
    assert shown.startswith(f"{name}, cycle {cycle}: ")


def test_the_power_of_each_measurement_is_drawn_when_it_is_requested(browser, page):
    browser.open(page)
    chart = """document.querySelector(".courses .chart").innerHTML.length"""
    assert browser.evaluate(chart) == 0
    browser.evaluate("""document.querySelector(".courses").open = true""")
    browser.until("""document.querySelectorAll(".courses option").length""", 12)
    shown = """document.querySelector(".courses .what").textContent"""
    assert "cycle 1: power of GPU-synthetic" in browser.evaluate(shown)
    first = browser.evaluate("""document.querySelector(".courses .line").getAttribute("d")""")
    browser.evaluate("""document.querySelector('[data-step="-1"]').click()""")
    assert "cycle 3" in browser.evaluate(shown)
    assert browser.evaluate("""document.querySelectorAll(".courses rect").length""") == 5
    assert browser.evaluate(
        """document.querySelector(".courses .line").getAttribute("d")"""
    ) not in ("", first)
    assert browser.complaints() == []


def test_the_answer_follows_the_limits_that_a_reader_sets(browser, page):
    browser.open(page)
    limit = """document.querySelector('[data-latency="time_to_first_token"]')"""
    change = f"""{limit}.value = "%s";
      {limit}.dispatchEvent(new Event("input", {{ bubbles: true }}))"""
    answer = """document.querySelector(".limits output").textContent"""
    browser.evaluate(change % 1e6)
    browser.until(f"{answer}.endsWith('4 of 4 experiments keep the limits.')")
    loose = browser.evaluate(answer)
    assert loose.startswith("batch4 out48: least energy per output token in the means, ")
    browser.evaluate(change % 1e-3)
    browser.until(answer, "No experiment keeps the limits.")
    browser.evaluate(change % "")
    browser.until(answer, "")
    assert browser.requests() == [page.as_uri()]


@pytest.mark.parametrize(
    ("start", "cycle"),
    [
        ("#measurements-table tbody tr:nth-child(5) .leads", None),
        ("#trade-off svg text.leads", 1),
    ],
)
def test_a_measurement_and_a_point_of_the_trade_off_lead_to_their_power(
    browser, page, start, cycle
):
    browser.open(page)
    browser.evaluate(f"""document.querySelector('{start}')
      .dispatchEvent(new Event("click", {{ bubbles: true }}))""")
    browser.until(OPEN)
    shown = browser.evaluate("""document.querySelector(".courses .what").textContent""")
    if cycle is None:
        row = f"""document.querySelector('{start}').closest("tr")"""
        name = browser.evaluate(f"{row}.cells[1].textContent")
        cycle = browser.evaluate(f"{row}.cells[2].textContent")
    else:
        name = browser.evaluate(f"""document.querySelector('{start}').textContent""")
    assert shown.startswith(f"{name}, cycle {cycle}: power of")
    assert browser.complaints() == []


@pytest.mark.parametrize(
    ("kind", "start"),
    [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG"), ("csv", b"experiment,")],
)
def test_figures_and_their_data_are_downloaded_from_the_page_itself(
    browser, page, tmp_path, kind, start
):
    browser.open(page)
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.evaluate(f"""document.querySelector('a[download^="throughput.{kind}"]').click()""")
    file = tmp_path / f"throughput.{kind}"
    wait_until(file.exists, what="it is there")
    assert file.read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("table", "titles"),
    [
        ("reference-table", ['"Metric"', '"Ratio"']),
        ("results-table", ['"n"', '"Energy per output token (J/token)"']),
    ],
)
def test_on_a_phone_a_comparison_is_a_card_that_fits(browser, page, table, titles):
    browser.open(page, screen=PHONE)
    cells = f"""[...document.querySelectorAll("#{table} tbody tr:first-child td")]"""
    shown = f"""{cells}.map((cell) => getComputedStyle(cell, "::before").content)"""
    assert browser.evaluate(shown)[:2] == titles
    assert browser.evaluate(
        f"{cells}.every((cell) => cell.getBoundingClientRect().right <= {PHONE['width']})"
    )
    box = f"""document.querySelector("#{table}").closest(".scroll")"""
    assert browser.evaluate(f"{box}.scrollWidth <= {box}.clientWidth + 1")


@pytest.mark.long
def test_on_a_phone_only_what_says_so_is_wider_than_the_screen(browser, page):
    browser.open(page, screen=PHONE)
    assert browser.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    hints = """[...document.querySelectorAll(".scroll")].every(
      (box) => box.scrollWidth <= box.clientWidth + 1 || !box.previousElementSibling.hidden)"""
    browser.until(hints)


def test_it_prints_with_all_figures_and_without_what_needs_a_screen(browser, page, tmp_path):
    browser.open(page)
    browser.print_to(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    browser.call("Emulation.setEmulatedMedia", media="print")
    hidden = """[...document.querySelectorAll("nav, .filter, .courses, figcaption .files a")].every(
      (element) => element.getClientRects().length === 0)"""
    assert browser.evaluate(hidden)
    figures = """[...document.querySelectorAll("main > section > figure svg")].every(
      (svg) => svg.getBoundingClientRect().height > 50)"""
    assert browser.evaluate(figures)
    browser.call("Emulation.setEmulatedMedia", media="")
