"""Charts as pictures: what is drawn is the publication's, and it is drawn on a machine without fonts."""

import dataclasses
import hashlib
import re
import struct
import zlib
from datetime import date
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import duckdb
import polars as pl
import pytest

from flows.reports.page.file import small_picture, write_pictures
from flows.reports.page.given import Given, of_folder
from flows.reports.page.pictures import PICTURES, SMALL, Picture, inline, png, svg
from schemas.errors import WarehouseError
from tests.invocation import REPOSITORY

SVG = "{http://www.w3.org/2000/svg}"
LONGEST_WORD = 60
"""Letters between two spaces that fit a panel of the scheduler's page."""


@pytest.fixture(scope="module")
def given(published_demo: Path) -> Given:
    return of_folder(published_demo, None)


def texts(drawing: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def last_points(drawing: str) -> list[tuple[float, float]]:
    """Where each line ends, the order of the legend."""
    found = []
    for path in ElementTree.fromstring(drawing).iter(f"{SVG}path"):
        x = y = 0.0
        for command, numbers in re.findall(r"([MLHV])([-\d. ]+)", path.attrib["d"]):
            values = [float(number) for number in numbers.split()]
            x, y = {"H": (values[0], y), "V": (x, values[0])}.get(command, (values[0], values[-1]))
        found.append((x, y))
    return found


def as_value(drawing: str, y: float) -> float:
    """What a reader sees at that height, by the two outermost numbers of the scale."""
    scale = {
        float(text.attrib["y"]) - 4: float(str(text.text).replace(",", ""))
        for text in ElementTree.fromstring(drawing).iter(f"{SVG}text")
        if text.attrib.get("text-anchor") == "end" and re.fullmatch(r"[\d,.]+", text.text or "")
    }
    low, high = max(scale), min(scale)
    return scale[low] + (y - low) * (scale[high] - scale[low]) / (high - low)


def pixels(content: bytes, row_count: int) -> tuple[int, int, list[bytes]]:
    """Width, height and the first rows of a PNG of four bytes a pixel, decoded by the filters of its specification."""
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    assert (depth, kind, interlaced) == (8, 6, 0)
    at, packed = 8, b""
    while at < len(content):
        size, name = struct.unpack(">I4s", content[at : at + 8])
        packed += content[at + 8 : at + 8 + size] if name == b"IDAT" else b""
        at += size + 12
    raw, rows, above = zlib.decompress(packed), [], bytes(4 * width)
    for start in range(0, row_count * (4 * width + 1), 4 * width + 1):
        way, line = raw[start], bytearray(raw[start + 1 : start + 1 + 4 * width])
        for i in range(len(line)):
            a, b, c = line[i - 4] if i >= 4 else 0, above[i], above[i - 4] if i >= 4 else 0
            nearest = min((a, b, c), key=lambda each: abs(a + b - c - each))
            line[i] = (line[i] + (0, a, b, (a + b) // 2, nearest)[way]) % 256
        above = bytes(line)
        rows.append(above)
    return width, height, rows


def test_lines_end_at_the_values_of_the_tables(published_demo: Path, given: Given) -> None:
    with duckdb.connect(str(published_demo / "hashpivot.duckdb"), read_only=True) as reader:
        sql = (
            "select capitulation_score, miner_to_exchange_30d_btc, miner_net_release_30d_btc, "
            "contracted_critical_it_mw, energised_critical_it_mw "
            "from capitulation_daily join conversion_daily using (day) where day = '2026-11-07'"
        )
        score, *others = reader.execute(sql).fetchall()[0]
    drawn = {picture.name: svg(given, picture) for picture in (*PICTURES, SMALL)}
    found = [as_value(drawn[SMALL.name], y) for _, y in last_points(drawn[SMALL.name])]
    assert found == pytest.approx([score], abs=0.1)
    ends = [(drawn[name], y) for name in ("exchange-flows", "megawatts") for _, y in last_points(drawn[name])]
    assert [as_value(drawing, y) for drawing, y in ends] == pytest.approx(others, rel=0.03)
    assert all(
        x == pytest.approx(784, abs=0.1) for name in drawn if name != "score" for x, _ in last_points(drawn[name])
    )


def test_picture_has_title_value_day_profile_and_dates(given: Given) -> None:
    score = given.newest_scored()["capitulation_score"]
    shown = texts(svg(given, SMALL))
    assert "Capitulation score" in shown
    assert f"Miners on 2026-11-07: squeeze, score {score:.1f} of 100" in shown
    assert f"Score: {score:.1f} on 2026-11-07" in shown
    assert "profile demo, simulated data" in shown
    assert {"Jan 2026", "Sep 2026"} < set(shown)
    # Leases are real in every profile.
    assert "profile demo" in texts(svg(given, Picture(name="megawatts", chart="megawatts")))


def test_picture_has_its_text_and_its_colours_without_fonts_of_the_machine(given: Given) -> None:
    drawing = svg(given, Picture(name="megawatts", chart="megawatts"))
    x, y = last_points(drawing)[0]
    width, height, rows = pixels(png(drawing), round(y * 1.5) + 1)
    assert (width, height) == (1200, 630)
    title = {row[4 * x : 4 * x + 3] for row in rows[18:38] for x in range(18, 400)}
    assert b"\x16\x19\x1d" in title  # a letter is as dark as the text is
    assert rows[round(y * 1.5)][4 * round(x * 1.5 - 9) :][:3] == b"\x00\x72\xb2"


def test_publication_that_knows_nothing_has_a_picture_that_states_it(given: Given) -> None:
    names = ("price_usd", "capitulation_score", "capitulation_state")
    days = given.tables["capitulation_daily"]
    unknown = days.with_columns(pl.lit(None, dtype=days.schema[name]).alias(name) for name in names)
    bare = dataclasses.replace(given, tables={**given.tables, "capitulation_daily": unknown})
    shown = texts(svg(bare, Picture(name="price", chart="price")))
    assert "No values in this publication" in shown
    assert "Price: unknown" in shown


def test_text_of_others_is_text(given: Given) -> None:
    planted = dataclasses.replace(given, about={**given.about, "profile": "</svg><script>&\"'"})
    drawing = unquote(inline(svg(planted, SMALL)).partition(",")[2])
    assert any("</svg><script>&\"'" in text for text in texts(drawing))


def test_address_of_the_small_picture_breaks_into_lines(published_demo: Path) -> None:
    address = small_picture(published_demo)
    assert address.startswith("data:image/svg+xml;charset=utf-8,")
    assert len(address) < 15_000
    assert max(map(len, re.split(r"[ -]", address))) < LONGEST_WORD
    assert "#" not in address


def test_pictures_are_written_where_somebody_wants_them(published_demo: Path, tmp_path: Path) -> None:
    paths = write_pictures(published_demo, tmp_path / "mail")
    assert [path.name for path in paths] == ["score.png", "price.png", "exchange-flows.png", "megawatts.png"]
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 150_000
    (tmp_path / "file").touch()
    with pytest.raises(WarehouseError, match=r"^[^\n]*name another one$"):
        write_pictures(published_demo, tmp_path / "file")


def test_vendored_fonts_are_those_that_are_stated() -> None:
    folder = REPOSITORY / "flows/reports/page/assets/dejavu"
    stated = [line.split() for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]
    assert {name for _, name in stated} == {path.name for path in folder.iterdir()} - {"SHA256SUMS", "SOURCE.txt"}
    for digest, name in stated:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_dates_of_a_short_span_are_months_and_of_a_long_one_years(given: Given) -> None:
    assert any(re.fullmatch(r"\d{4}", text) for text in texts(svg(given, Picture(name="price", chart="price"))))
    short = Picture(name="price", chart="price", days=60)
    assert any(re.fullmatch(r"[A-Z][a-z]{2} 2026", text) for text in texts(svg(given, short)))
    assert date(2026, 11, 7) == given.newest_scored()["day"]
