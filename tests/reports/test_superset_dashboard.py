"""The dashboard in a real Superset and a real browser, by the commands of its page: drawn, filtered, refreshed."""

import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flows.run import pipeline, plan
from flows.settings import Settings, read_profile
from tests.docs.pages import text_of
from tests.invocation import COMMAND, REPOSITORY, clean_environment, eventually
from tests.scheduled.serving import SCREENSHOTS, browser_page, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

SUPERSET = REPOSITORY / ".venv/superset/bin/superset"
USER = "admin"
PASSWORD = "of-this-test-alone"
DRAWN = """() => [...document.querySelectorAll('.dashboard-component-chart-holder')].map((holder) => {
    const canvas = holder.querySelector('canvas');
    const pixels = canvas && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const painted = pixels ? pixels.filter((value, at) => at % 4 === 3 && value > 0).length : 0;
    const isDrawn = painted > 1000 || holder.querySelector('.header-line, tbody tr');
    const isLoading = holder.querySelector('[data-test=loading-indicator]');
    const title = holder.querySelector('[data-test=slice-header]');
    return [title ? title.innerText : '', Boolean(isDrawn), Boolean(isLoading)];
})"""
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not SUPERSET.exists(), reason="no Superset here; `make .venv/.superset`"),
]


@pytest.fixture(scope="module")
def home(published_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of this test, whose newest publication is that of the demo."""
    copy = tmp_path_factory.mktemp("superset") / "data"
    shutil.copytree(published_demo.parent, copy, symlinks=True)
    return copy


def commands(port: int, home: Path) -> tuple[list[str], str]:
    """The commands of the page, all but the first two, which install; the last one serves."""
    block = text_of("deploy/superset/README.md").partition("```text\n")[2].partition("```")[0]
    block = block.replace("superset-env/bin/superset", str(SUPERSET)).replace("8088", str(port))
    block = re.sub(r"^hashpivot (.*)$", rf"{COMMAND} \1 --home {home}", block, flags=re.MULTILINE)
    lines = [line for line in block.splitlines() if line]
    assert [line.split()[0] for line in lines[:2]] == ["python3", "superset-env/bin/pip"]
    return lines[2:-1], lines[-1]


@contextmanager
def superset(home: Path, folder: Path) -> Iterator[str]:
    """A Superset with the dashboard of the home, until the end; its address."""
    port = free_port()
    before, serving = commands(port, home)
    environment = clean_environment(HOME=str(folder)) | {"ADMIN_PASSWORD": PASSWORD, "PYTHONWARNINGS": "ignore"}
    script = "\n".join(["set -e", *before, f"exec {serving}"])
    with (folder / "superset.txt").open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"

    def responds() -> bool:
        assert process.poll() is None, (folder / "superset.txt").read_text(encoding="utf-8")[-3000:]
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=10) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    try:
        eventually(responds, "Superset", timeout=600)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def wait_until_drawn(page: "Page") -> None:
    def drawn() -> bool:
        found = page.evaluate(DRAWN)
        charts = [each for each in found if each[0]]
        return len(charts) == 12 and all(is_drawn and not is_loading for _, is_drawn, is_loading in charts)

    eventually(drawn, "twelve charts", timeout=180)


def text_of_chart(page: "Page", title: str) -> str:
    return page.locator(".dashboard-component-chart-holder").filter(has_text=title).first.inner_text()


def publish(home: Path, day: date) -> None:
    pipeline.run_all(plan.plan(Settings(home=home), read_profile("demo"), day=day))


def test_dashboard_is_drawn_filtered_and_refreshed(home: Path, tmp_path: Path) -> None:
    faults: list[str] = []
    with superset(home, tmp_path) as address, browser_page() as page:
        page.set_viewport_size({"width": 1400, "height": 2600})
        page.goto(f"{address}/login/")
        page.locator("[data-test=username-input]").fill(USER)
        page.locator("[data-test=password-input]").fill(PASSWORD)
        page.locator("[data-test=login-button]").click()
        page.wait_for_url(re.compile("welcome"))
        page.on("response", lambda response: faults.append(response.url) if response.status >= 400 else None)
        page.goto(f"{address}/superset/dashboard/hashpivot/")
        wait_until_drawn(page)
        page.screenshot(path=SCREENSHOTS / "superset.png")
        assert "Simulated data." in page.locator(".dashboard-markdown").inner_text()
        assert "2026-11-07" in text_of_chart(page, "The newest day")
        assert "TeraWulf" in text_of_chart(page, "Deals that stand")

        page.locator("[data-test=NATIVE_FILTER-miner]").click()
        page.keyboard.type("TeraWulf")
        page.locator(".ant-select-item-option").filter(has_text="TeraWulf").click()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Apply filters").click()
        deals = ".dashboard-component-chart-holder:has-text('Deals that stand') tbody tr"
        eventually(lambda: 0 < page.locator(deals).count() < 10, "the deals of one miner")
        assert all("TeraWulf" in row for row in page.locator(deals).all_inner_texts())
        page.get_by_role("button", name="Clear all").click()
        eventually(lambda: page.locator(deals).count() > 10, "the deals of all miners")

        publish(home, date(2026, 11, 8))
        page.locator("[data-test=refresh-button]").click()
        eventually(lambda: "2026-11-08" in text_of_chart(page, "The newest day"), "the next day", timeout=60)
        wait_until_drawn(page)
    assert faults == []
