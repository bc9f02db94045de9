"""The query page in a real browser: queries of people on the database of the publication, fetched by its parts."""

import csv
import gzip
import hashlib
import http.server
import io
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import duckdb
import pytest
import uvicorn
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from flows.reports.page.query import ENGINE
from flows.scheduled.asgi import Application
from flows.scheduled.published_files import PublishedFiles
from tests.docs.cookbook import questions as of_cookbook
from tests.invocation import REPOSITORY, eventually
from tests.reports.accessibility import violations
from tests.scheduled.serving import browser_page, free_port
from warehouse.questions import questions
from warehouse.views import SCHEMA, views

if TYPE_CHECKING:
    from playwright.sync_api import Page

ASSETS = REPOSITORY / "flows/reports/page/assets/duckdb"


@dataclass
class Site:
    """A static site with ranges, as any host has it, over a folder, and what it has sent."""

    folder: Path
    port: int = field(default_factory=free_port)
    sent_bytes: dict[str, int] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a file, and count the bytes of it that are sent."""
        if scope["type"] != "http":
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":  # without a cache the browser fetches all that it reads
                message["headers"].append((b"cache-control", b"no-store"))
            self.sent_bytes[scope["path"]] = self.sent_bytes.get(scope["path"], 0) + len(message.get("body", b""))
            await send(message)

        await StaticFiles(directory=self.folder)(scope, receive, counted)


@contextmanager
def running(application: Application, port: int) -> Iterator[None]:
    """An HTTP server on loopback with that application."""
    server = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started, "the static site")
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class Opened:
    """The query page, and everything that its browser has requested."""

    page: "Page"
    site: Site
    requested: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def fresh(self, fragment: str = "") -> "Page":
        self.page.goto("about:blank")
        self.requested.clear()
        self.page.goto(f"{self.site.address}/report/query.html{fragment}")
        return self.page

    def ready(self) -> "Page":
        """The page, as another test has left it."""
        return self.page if self.page.url.startswith(f"{self.site.address}/report/query.html") else self.fresh()

    def run(self, query: str) -> str:
        """Run a query as a person does; what the page states of it, the error where there is one."""
        self.page.locator("#sql").fill(query)
        self.page.keyboard.press("Control+Enter")
        return self.ended()

    def ended(self) -> str:
        self.page.wait_for_selector("#run:enabled")
        error = self.page.locator("#error")
        return error.inner_text() if error.is_visible() else self.page.locator("#status").inner_text()

    def cells(self) -> list[list[str]]:
        """Every row of the result, the names of the columns first; a cell is what a pointer on it shows."""
        script = "rows => rows.map((row) => [...row.children].map((cell) => cell.tagName === 'TD' && cell.title"
        found = self.page.locator("#rows tr").evaluate_all(f"{script} || cell.textContent))")
        return [list(map(str, row)) for row in found]


@pytest.fixture(scope="module")
def opened(published_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The page of a copy of the demo's version, as a static host has it."""
    folder = tmp_path_factory.mktemp("site") / "public"
    shutil.copytree(published_demo / "current", folder)
    site = Site(folder)
    with running(site, site.port), browser_page() as page:
        found = Opened(page=page, site=site)
        page.on("request", lambda request: found.requested.append(request.url))
        page.on("pageerror", lambda error: found.faults.append(str(error)))
        yield found
        assert found.faults == []


def as_text(folder: Path, query: str) -> list[list[str]]:
    """Names and rows of a query by DuckDB itself, each value as DuckDB writes it."""
    with duckdb.connect(folder / "hashpivot.duckdb", read_only=True) as connection:
        names = connection.sql(query).columns
        rows = connection.sql(f"select columns(*)::varchar from ({query})").fetchall()
    return [names, *[["NULL" if value is None else value for value in row] for row in rows]]


def test_nothing_is_fetched_before_a_query_and_the_engine_only_once(opened: Opened) -> None:
    opened.fresh()
    assert [url.rpartition("/")[2] for url in opened.requested] == ["query.html"]
    assert opened.run("select 1 as one") == "1 row in 0.0 s." or opened.cells() == [["one"], ["1"]]
    opened.run("select 2 as two")
    assert opened.cells() == [["two"], ["2"]]
    names = [url.rpartition("/")[2] for url in opened.requested if not url.startswith("blob:")]
    assert all(names.count(name) == 1 for name in ENGINE)
    assert {*names} == {"query.html", "hashpivot.duckdb", *ENGINE}
    assert all(url.removeprefix("blob:").startswith(opened.site.address) for url in opened.requested)


def test_every_question_has_the_rows_that_duckdb_gives(opened: Opened) -> None:
    page = opened.ready()
    assert page.locator(".example").all_inner_texts() == [question.title for question in questions()]
    for number, question in enumerate(questions()):
        page.locator(".example").nth(number).click()
        assert re.fullmatch(r"[\d,]+ rows? in \d+\.\d s\.", opened.ended()), question.name
        assert page.locator("#sql").input_value() == question.query
        assert opened.cells() == as_text(opened.site.folder, question.query), question.name


def test_questions_are_those_of_the_cookbook() -> None:
    stated = [(question.title, question.query) for question in of_cookbook().values()]
    assert [(question.title, question.query) for question in questions()] == stated


def test_every_view_is_listed_and_can_be_read(opened: Opened) -> None:
    page = opened.ready()
    listed = page.locator("#views + .scroll th[scope=row]").all_inner_texts()
    assert listed == [f"{SCHEMA}.{view.name}" for view in views()]
    for name in listed:
        counted = f"select count(*) as n from {name}"
        opened.run(counted)
        assert opened.cells() == as_text(opened.site.folder, counted), name


def test_only_the_parts_of_the_database_that_a_query_reads_are_fetched(opened: Opened) -> None:
    opened.fresh()
    opened.site.sent_bytes.clear()
    opened.run(questions()[0].query)
    size = (opened.site.folder / "hashpivot.duckdb").stat().st_size
    assert 0 < opened.site.sent_bytes["/hashpivot.duckdb"] < size / 4


EXACT = """select 2100000000000001::bigint as satoshi, 1/3 as third, 12345678.9::double as large, 1e-9 as small,
    date '2009-01-03' as day, timestamptz '2024-04-20 00:09:27+00' as time, [1, 2] as list, null as nothing,
    '=1+1' as formula, 'a "b", c' as quoted, 1.50::decimal(9, 2) as price, true as yes"""


def test_values_are_exact_in_the_csv_and_six_digits_on_the_screen(opened: Opened) -> None:
    page = opened.ready()
    opened.run(EXACT)
    names, exact = as_text(opened.site.folder, EXACT)
    assert opened.cells() == [names, exact]
    shown = dict(zip(names, page.locator("#rows td").all_inner_texts(), strict=True))
    assert (shown["third"], shown["large"], shown["small"]) == ("0.333333", "12,345,679", "1e-9")
    with page.expect_download() as downloaded:
        page.locator("#csv").click()
    header, row = csv.reader(io.StringIO(downloaded.value.path().read_text(encoding="utf-8")))
    stated = ["" if value == "NULL" else value for value in exact]
    assert header == names
    assert row == ["'=1+1" if value == "=1+1" else value for value in stated]


def test_many_rows_are_cut_on_the_screen_and_whole_in_the_csv(opened: Opened) -> None:
    page = opened.ready()
    status = opened.run("select i from range(2500) as numbers(i) order by i desc")
    assert status.startswith("The first 1,000 rows in ")
    assert status.endswith("The CSV has all.")
    assert [row[0] for row in opened.cells()] == ["i", *map(str, range(2499, 1499, -1))]
    with page.expect_download() as downloaded:
        page.locator("#csv").click()
    assert downloaded.value.path().read_text(encoding="utf-8").split() == ["i", *map(str, range(2499, -1, -1))]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("select nothing\nfrom capitulaton_daily", r"Did you mean .*capitulation_daily[\s\S]*LINE 2: from capit"),
        ("selec 1", r'syntax error at or near "selec"\s+LINE 1: selec 1\s+\^$'),
        ("select 1; select 2", "multiple statements"),
        ("drop table capitulation_daily", "^found drop, expected one statement that reads: SELECT, FROM"),
        ("copy capitulation_daily to 'days.csv'", "^found copy, expected one statement that reads"),
        ("insert into capitulation_daily select * from capitulation_daily", "found insert|read-only"),
        ("from read_parquet('days.parquet')", "parquet"),
    ],
)
def test_what_cannot_be_run_is_reported_and_the_next_query_runs(opened: Opened, query: str, error: str) -> None:
    opened.ready()
    reported = opened.run(query)
    assert re.search(error, reported), reported
    assert opened.page.locator("#rows tr").count() == 0
    opened.run("select 1 as one")
    assert opened.cells() == [["one"], ["1"]]


def test_no_query_reaches_another_server(opened: Opened) -> None:
    opened.ready()
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.2)
        address = f"http://127.0.0.1:{other.getsockname()[1]}"
        for reader in ("read_csv", "read_text", "read_parquet"):
            assert re.search("Failed to load|parquet extension", opened.run(f"from {reader}('{address}/days')"))
        assert "found attach" in opened.run(f"attach '{address}/days.duckdb'")
        with pytest.raises(TimeoutError):
            other.accept()


def test_describe_show_and_comments_are_read(opened: Opened) -> None:
    opened.ready()
    opened.run("describe answers.today")
    assert opened.cells()[1][:2] == ["day", "DATE"]
    opened.run("show tables")
    assert ["capitulation_daily"] in opened.cells()
    opened.run("select 3 as three -- the end\n;;")
    assert opened.cells() == [["three"], ["3"]]


def test_link_fills_the_query_in_and_runs_nothing(opened: Opened) -> None:
    query = "select 'a & b' as text, 5 % 3 as rest"
    page = opened.fresh(f"#sql={quote(query)}")
    assert page.locator("#sql").input_value() == query
    assert [url.rpartition("/")[2].partition("#")[0] for url in opened.requested] == ["query.html"]
    page.locator("#run").click()
    opened.ended()
    assert opened.cells() == [["text", "rest"], ["a & b", "2"]]
    again = page.url
    page.goto("about:blank")
    page.goto(again)
    assert page.locator("#sql").input_value() == query


def test_query_without_end_is_stopped_and_the_next_one_runs(opened: Opened) -> None:
    page = opened.fresh()
    opened.run("select 1 as one")
    page.locator("#sql").fill("select sum(a.i * b.i) from range(10000000) a(i), range(10000000) b(i)")
    page.locator("#run").click()
    page.locator("#stop").click()
    assert opened.ended() == "Stopped."
    opened.run("select 2 as two")
    assert opened.cells() == [["two"], ["2"]]


def test_next_publication_is_read_whole_by_a_page_that_was_open(opened: Opened, tmp_path: Path) -> None:
    opened.fresh()
    count = "select count(*) as n, max(capitulation_score) as most from capitulation_daily"
    opened.run(count)
    assert opened.cells() == as_text(opened.site.folder, count)
    path = opened.site.folder / "hashpivot.duckdb"
    earlier = tmp_path / "earlier.duckdb"
    shutil.copyfile(path, earlier)
    changed = tmp_path / "changed.duckdb"
    shutil.copyfile(path, changed)
    with duckdb.connect(changed) as connection:
        connection.execute("delete from capitulation_daily where day > date '2024-01-01'")
    changed.rename(path)
    try:
        opened.run(count)
        assert opened.cells() == as_text(opened.site.folder, count)
    finally:
        earlier.rename(path)


def test_page_that_is_opened_as_a_file_states_how_to_serve_it(opened: Opened) -> None:
    page = opened.page
    page.goto((opened.site.folder / "report" / "query.html").as_uri())
    assert "Serve the folder of publications" in page.locator("#from-file").inner_text()
    assert page.locator("#run").is_disabled()


def test_host_without_ranges_sends_the_database_whole(opened: Opened) -> None:
    """The server of Python's standard library is the first that comes to mind; it has no ranges."""

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Write nothing."""

    handler = partial(Silent, directory=opened.site.folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            opened.page.goto(f"http://127.0.0.1:{server.server_port}/report/query.html")
            opened.run(questions()[0].query)
            assert opened.cells() == as_text(opened.site.folder, questions()[0].query)
        finally:
            server.shutdown()


def test_query_runs_behind_the_login_of_the_scheduler(opened: Opened, published_demo: Path) -> None:
    port, browser = free_port(), opened.page.context.browser
    assert browser is not None
    with running(PublishedFiles(Response(status_code=404), published_demo, "admin:secret"), port):
        page = browser.new_page(http_credentials={"username": "admin", "password": "secret"})
        page.goto(f"http://127.0.0.1:{port}/published/report/query.html")
        page.locator(".example").first.click()
        page.wait_for_selector("#rows table")
        assert page.locator("#rows tr").count() == len(as_text(published_demo, questions()[0].query))
        page.close()


def test_accessibility_check_is_clean_in_both_schemes(opened: Opened) -> None:
    page = opened.ready()
    opened.run("select nothing")
    assert violations(page) == []
    page.locator(".example").first.click()
    opened.ended()
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []
    page.emulate_media(color_scheme="light")


def test_page_fits_a_phone(opened: Opened) -> None:
    page = opened.ready()
    page.set_viewport_size({"width": 390, "height": 844})
    opened.run(questions()[4].query)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1300, "height": 1200})


def test_engine_is_that_of_the_release() -> None:
    source = (ASSETS / "SOURCE.txt").read_text(encoding="utf-8")
    for name in ENGINE:
        digest = hashlib.sha256(gzip.decompress((ASSETS / name).read_bytes())).hexdigest()
        assert f"{digest}  {name.removesuffix('.gz')}\n" in source
