"""The report in a real browser: fast, silent, accessible, by keyboard, on a phone and on paper."""

import csv
import dataclasses
import gzip
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from flows.reports.page import pages as made
from flows.reports.page.given import Given, of_folder
from tests.invocation import eventually
from tests.reports.accessibility import AXE, violations
from tests.scheduled.serving import browser_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOST_SECONDS = 2.0
PLANTED = "</script><script>document.title='planted'</script><img src=x onerror=\"document.title='planted'\">"


@dataclass
class Opened:
    """The page of the demo's report, and everything that it has sent, logged or requested."""

    page: "Page"
    address: str
    logged: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def fresh(self, width: int = 1300, height: int = 900) -> "Page":
        """The page as it is when it is opened."""
        self.page.emulate_media(media="screen", color_scheme="light")
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.goto(self.address)
        self.page.wait_for_selector("html[data-ready]")
        return self.page


@pytest.fixture(scope="module")
def given(published_demo: Path) -> Given:
    return of_folder(published_demo, None)


@pytest.fixture(scope="module")
def opened(published_demo: Path) -> Iterator[Opened]:
    with browser_page() as page:
        found = Opened(page=page, address=(published_demo / "report" / "index.html").as_uri())
        page.on("console", lambda message: found.logged.append(message.text))
        page.on("pageerror", lambda error: found.logged.append(str(error)))
        page.on("request", lambda request: found.requested.append(request.url))
        yield found


def test_page_is_drawn_within_two_seconds_and_requests_nothing(opened: Opened) -> None:
    client = opened.page.context.new_cdp_session(opened.page)
    # Of the processor, so that it does not matter what else the machine does.
    client.send("Performance.enable", {"timeDomain": "threadTicks"})
    page = opened.fresh()
    took = {each["name"]: each["value"] for each in client.send("Performance.getMetrics")["metrics"]}["TaskDuration"]
    client.detach()
    assert 0 < took < MOST_SECONDS
    assert page.locator("figure.chart canvas").count() == page.locator("figure.chart").count() > 15
    assert opened.logged == []
    assert set(opened.requested) == {opened.address}


def test_accessibility_check_is_clean(opened: Opened) -> None:
    page = opened.fresh()
    page.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    page.locator('button[popovertarget="about-capitulation_daily.price_usd"]').first.click()
    assert violations(page) == []


def test_page_of_how_figures_came_about_is_accessible(opened: Opened, published_demo: Path) -> None:
    page = opened.page
    page.goto((published_demo / "report" / "explained.html").as_uri())
    assert violations(page) == []


def test_dark_scheme_has_contrast(opened: Opened) -> None:
    page = opened.fresh()
    page.emulate_media(color_scheme="dark")
    page.locator('button[popovertarget="about-capitulation_daily.price_usd"]').first.click()
    assert violations(page, ["color-contrast"], ("header", "#today", "#chart-price", "#claims", ".about")) == []


def test_axe_is_that_of_the_release_and_finds_what_is_wrong(opened: Opened) -> None:
    content = gzip.decompress((AXE / "axe.min.js.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() in (AXE / "SOURCE.txt").read_text(encoding="utf-8")
    page = opened.fresh()
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert [line.partition(":")[0] for line in violations(page, ["button-name"])] == ["button-name"]


def test_dark_scheme_and_the_button_change_page_and_charts(opened: Opened) -> None:
    page = opened.fresh()

    def colours() -> tuple[str, str]:
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        pixels = page.evaluate("document.querySelector('#chart-price canvas').toDataURL()")
        return ground, hashlib.sha256(pixels.encode()).hexdigest()

    light = colours()
    page.emulate_media(color_scheme="dark")
    eventually(lambda: all(now != then for now, then in zip(colours(), light, strict=True)), "other colours of both")
    button = page.locator("#theme")
    button.click()
    assert button.inner_text() == "Theme: light"
    eventually(lambda: colours() == light, "the first colours of both")


def test_csv_has_the_published_values_of_all_days(opened: Opened, given: Given) -> None:
    page = opened.fresh()
    with page.expect_download() as downloaded:
        page.locator("#chart-hashprice .csv").click()
    text = downloaded.value.path().read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["day", "Cost, low", "Cost, high", "Cost", "hashprice_7d_usd_per_phs_day"]
    found = {row[0]: float(row[4]) for row in rows[1:] if row[4]}
    name = "hashprice_7d_usd_per_phs_day"
    stated = given.tables["capitulation_daily"].drop_nulls(name).select(pl.col("day").cast(pl.String), name)
    assert list(found) == stated["day"].to_list()
    assert list(found.values()) == pytest.approx(stated[name].to_list(), rel=5e-6)


def test_figures_are_read_by_keyboard_alone(opened: Opened, given: Given) -> None:
    page = opened.fresh()
    newest = given.tables["capitulation_daily"]["day"][-1]
    plot = page.locator("#chart-score .plot")
    plot.focus()
    reading = page.locator("#chart-score .reading")
    page.keyboard.press("End")
    assert reading.inner_text().startswith(f"{newest}: Income level")
    assert reading.inner_text().endswith("; squeeze")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    assert reading.inner_text().startswith(str(newest - timedelta(days=31)))
    page.keyboard.press("+")
    day = given.tables["capitulation_daily"].filter(pl.col("day") == newest - timedelta(days=31)).row(0, named=True)
    shown = page.locator("#chart-price .legend .value").inner_text()
    assert float(shown.replace(",", "")) == pytest.approx(day["price_usd"], rel=1e-3)
    page.keyboard.press("0")
    assert page.locator('#miners .range [data-days="0"]').get_attribute("aria-pressed") == "true"
    page.keyboard.press("Shift+Tab")
    about = page.locator('[id="about-capitulation_daily.score_hashrate"]')
    assert about.is_visible()
    assert "How wrong, and when" in about.inner_text()
    page.keyboard.press("Escape")
    assert not about.is_visible()


def test_one_range_and_one_drag_zoom_every_chart_of_a_group(opened: Opened) -> None:
    page = opened.fresh()
    button = page.locator('#miners .range [data-days="366"]')
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    page.locator("#chart-price .rows summary").click()
    rows = page.locator("#chart-price .rows tbody tr")
    assert rows.count() == 31
    plot = page.locator("#chart-price .u-over")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 50, steps=4)
    page.mouse.up()
    assert button.get_attribute("aria-pressed") == "false"
    plot.dblclick()
    assert page.locator('#miners .range [data-days="0"]').get_attribute("aria-pressed") == "true"


def test_log_switch_draws_the_chart_anew(opened: Opened) -> None:
    page = opened.fresh()
    pixels = "document.querySelector('#chart-price canvas').toDataURL()"
    before = page.evaluate(pixels)
    page.locator("#chart-price .log").click()
    assert page.locator("#chart-price .log").get_attribute("aria-pressed") == "false"
    assert page.evaluate(pixels) != before


def test_phone_scrolls_in_one_direction(opened: Opened) -> None:
    page = opened.fresh(width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#chart-price canvas").bounding_box()["width"] <= 390  # type: ignore[index]


def test_paper_has_charts_on_white_and_no_buttons(opened: Opened) -> None:
    page = opened.fresh(width=720)
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("button:visible").count()
    assert page.locator("#chart-price canvas").bounding_box()["width"] == pytest.approx(680, abs=2)  # type: ignore[index]


def test_planted_script_is_shown_and_does_not_run(opened: Opened, given: Given, tmp_path: Path) -> None:
    planted = dataclasses.replace(
        given,
        tables={
            **given.tables,
            "company": given.tables["company"].with_columns(name=pl.lit(PLANTED)),
            "deal_current": given.tables["deal_current"].with_columns(miner_name=pl.lit(PLANTED)),
        },
    )
    path = tmp_path / "planted.html"
    path.write_bytes(made.pages(planted)["index.html"])
    page = opened.page
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.title() == "Bitcoin miners on 2026-11-07: squeeze"
    assert page.locator("#conversion tbody").get_by_text(PLANTED).first.is_visible()
    assert page.locator("#chart-contracted_by_miner .legend").get_by_text(PLANTED).first.is_visible()
    assert page.locator("img").count() == 0
    assert opened.logged == []
