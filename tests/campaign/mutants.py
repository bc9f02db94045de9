"""Real files that were changed: exports in a folder, and the curated registry."""

import csv
import shutil
from collections.abc import Callable
from io import BytesIO, StringIO
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final

import polars as pl

from flows.sources.coinmetrics.metrics import METRICS
from schemas.registry import REGISTRY
from tests.campaign.command import Command
from tests.campaign.tries import Outcome, Verdict, Workshop, judged, one_line
from warehouse.registry import REFERENCE

Rows = list[list[str]]
FEWEST_ROWS: Final = 400
FACTORS: Final = {"x1000": 1000.0, "x100": 100.0, "x0.01": 0.01, "x0.001": 0.001}
WINDOWS_DAYS: Final = (1, 7, 20, 60, 322)
CHECKED: Final = ("source_url", "known_at")
USED: Final = frozenset(column.header for column in METRICS) | {"time"}


def try_export(workshop: Workshop, name: str, random: Random) -> Outcome:
    """Change one file of the folder; run in an empty home, or in one that has read the folder as it was."""
    options = ("--profile", "files", "--files-dir")
    start, normal = workshop.without_fault(
        "files", lambda home: workshop.daily(home, *options, str(workshop.data)).run()
    )
    is_empty = random.random() < 0.5
    home = workshop.place(name, None if is_empty else start)
    folder = home.parent / "exports"
    folder.mkdir()
    paths = [*workshop.data.glob("coinmetrics/*"), *workshop.data.glob("cryptoquant/*")]
    paths += workshop.data.glob("pool_blocks/*")
    for path in paths:
        place = folder / path.parent.name / path.name
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(path)
    weights = [6 if path.suffix != ".csv" or path.parent.name == "coinmetrics" else 1 for path in sorted(paths)]
    path = random.choices(sorted(paths), weights)[0]
    changed = folder / path.parent.name / path.name
    content = path.read_bytes()
    if random.random() < 0.3 or path.suffix == ".json":
        fault, content = bytes_changed(content, random)
    elif path.suffix == ".csv":
        fault, content = _csv_changed(content, random)
    else:
        fault, content = _blocks_changed(content, random)
    changed.unlink()
    if content:
        changed.write_bytes(content)
    fault = f"{path.name}: {fault}, {'empty home' if is_empty else 'published home'}"
    finished = workshop.daily(home, *options, str(folder)).run()
    return judged(finished, home, normal, None if is_empty else normal, fault)


def try_registry(workshop: Workshop, name: str, random: Random) -> Outcome:
    """Change one cell, row or column of the registry that a figure may come from, and check it."""
    home = workshop.place(name)
    folder = home.parent / "reference"
    shutil.copytree(Path(str(REFERENCE)), folder)
    table = random.choice(sorted(REGISTRY))
    path = folder / f"{table}.csv"
    fault, content = _registry_changed(path.read_bytes(), table, random)
    path.write_bytes(content)
    fault = f"{path.name}: {fault}"
    arguments = ["registry", "check", "--folder", str(folder)]
    finished = Command(arguments=arguments, folder=home.parent, environment={}).run()
    if finished.code == 0:
        return Outcome(Verdict.REPORTED if "warning" in finished.stdout else Verdict.SILENT, fault, "accepted")
    if wrong := one_line(finished):
        return Outcome(Verdict.BROKEN, fault, wrong)
    return Outcome(Verdict.REFUSED, fault, finished.stderr.strip()[-160:])


def bytes_changed(content: bytes, random: Random) -> tuple[str, bytes]:
    """A change that no program meant to make: of bytes, whatever they mean."""
    at = random.randrange(len(content))
    length = random.choice([1, 64, 4096])
    changes: dict[str, Callable[[], bytes]] = {
        f"cut at byte {at}": lambda: content[:at],
        f"{length} bytes 0xFF at {at}": lambda: content[:at] + b"\xff" * length + content[at + length :],
        f"{length} bytes 0x00 at {at}": lambda: content[:at] + b"\x00" * length + content[at + length :],
        "missing": lambda: b"",
        "a page of HTML": lambda: b"<html><body>Please sign in</body></html>",
        "only its first line": lambda: content.split(b"\n", 1)[0],
        "as UTF-16": lambda: content.decode("latin-1").encode("utf-16"),
        "twice": lambda: content + content,
    }
    fault = random.choice(sorted(changes))
    return fault, changes[fault]()


def _csv_changed(content: bytes, random: Random) -> tuple[str, bytes]:
    """A change of figures by more than a market can make, or of the form, of one column that is read."""
    header, *rows = list(csv.reader(StringIO(content.decode())))
    used = [n for n, name in enumerate(header) if n and name in USED] or [1]
    column = random.choice(used)
    rows = [row for row in rows if row]
    filled = [n for n, row in enumerate(rows) if row[column] not in ("", "0")]
    last = filled[-random.choice(WINDOWS_DAYS) :]
    hole = random.randrange(len(rows) - FEWEST_ROWS) if len(rows) > FEWEST_ROWS else 0
    hole_days = random.randint(40, 300)
    kind = random.choice([*FACTORS, "zero", "negative", "text", "comma", "holes", "no rows", "stopped", "old", "case",
                          "swapped", "shifted", "again", "reversed", "dropped"])  # fmt: skip
    fault = f"{header[column]} {kind}"

    def each(change: Callable[[str], str]) -> None:
        for n in last:
            rows[n][column] = change(rows[n][column])

    if kind in FACTORS:
        each(lambda cell: repr(float(cell) * FACTORS[kind]))
    elif kind in ("zero", "negative", "text", "comma"):
        each({"zero": lambda _: "0", "negative": "-{}".format, "text": lambda _: "n/a", "comma": "{},5".format}[kind])
    elif kind == "holes":
        for row in rows[hole : hole + hole_days]:
            row[column] = ""
    elif kind == "no rows":
        del rows[hole : hole + hole_days]
    elif kind == "stopped":
        del rows[-60:]
    elif kind == "old":
        del rows[100:]
    elif kind == "case":
        header[column] = header[column].swapcase()
    elif kind == "swapped":
        other = random.choice(used)
        header[column], header[other] = header[other], header[column]
    elif kind == "shifted":
        for earlier, later in pairwise(rows):
            earlier[column] = later[column]
    elif kind == "again":
        rows.append([*rows[-1][:column], "1", *rows[-1][column + 1 :]])
    elif kind == "reversed":
        rows.reverse()
    elif kind == "dropped":
        for row in [header, *rows]:
            del row[column]
    where = f" in {len(last)} days" if kind in (*FACTORS, "zero", "negative", "text", "comma") else ""
    where = f" {rows[hole][0]} for {hole_days} days" if kind in ("holes", "no rows") else where
    return fault + where, "".join(f"{','.join(row)}\n" for row in [header, *rows]).encode()


def _blocks_changed(content: bytes, random: Random) -> tuple[str, bytes]:
    """A change of the file of blocks with their pools."""
    rows = pl.read_parquet(content)
    start = random.randrange(rows.height - 20_000)
    count = random.choice([1, 144, 5760])
    slug = pl.col("pool_slug")
    is_there = ~pl.int_range(pl.len()).is_between(start, start + count, closed="left")
    changes: dict[str, Callable[[], pl.DataFrame]] = {
        f"{count} rows missing": lambda: rows.filter(is_there),
        "half of the names NULL": lambda: rows.with_columns(pl.when(pl.int_range(pl.len()) % 2 == 0).then(slug)),
        "names of the last month NULL": lambda: rows.with_columns(
            pl.when(pl.int_range(pl.len()) < rows.height - 4320).then(slug)
        ),
        "one pool for all": lambda: rows.with_columns(pl.lit("foundryusa").alias("pool_slug")),
        "heights downwards": lambda: rows.with_columns(pl.col("height").reverse()),
        "times a day late": lambda: rows.with_columns(pl.col("date").dt.offset_by("1d")),
        "reversed": lambda: rows.reverse(),
        f"{count} rows twice": lambda: pl.concat([rows, rows[start : start + count]]),
        "column in capitals": lambda: rows.rename({"pool_slug": "POOL_SLUG"}),
        "last 60 days missing": lambda: rows.head(rows.height - 8640),
    }
    fault = random.choice(sorted(changes))
    file = BytesIO()
    changes[fault]().write_parquet(file)
    return fault, file.getvalue()


def _registry_changed(content: bytes, table: str, random: Random) -> tuple[str, bytes]:
    """A change that no deal, site or machine can have; what is merely another figure needs the cited source."""
    header, *rows = list(csv.reader(StringIO(content.decode("utf-8-sig"), newline="")))
    rows = [row for row in rows if row]
    types = {name: column.dtype.type for name, column in REGISTRY[table].columns.items()}
    figures = [n for n, name in enumerate(header) if types.get(name) in (pl.Float64, pl.Int64, pl.Date)]
    figures = [n for n in figures if any(row[n].strip("0.") for row in rows)]
    kind = random.choice(["figure"] * 6 + ["row missing", "row twice", "column missing", "renamed", "swapped", "cut"])
    if kind == "figure" and figures and rows:
        column = random.choice(figures)
        row = random.choice([row for row in rows if row[column].strip("0.")])
        old = row[column]
        if types[header[column]] == pl.Date:
            row[column] = f"{int(old[:4]) + random.choice([-30, 30])}{old[4:]}"
        else:
            factor = random.choice([1000, -1])
            row[column] = f"{float(old) * factor:.10g}" if "." in old else f"{round(float(old) * factor)}"
        fault = f"{header[column]} of {row[0]} {old} as {row[column]}"
    elif kind == "row twice" and rows:
        rows.append(rows[0])
        fault = kind
    elif kind == "row missing" and table == "conversion_deal":  # totals are stated of these only
        fault = f"without {','.join(rows.pop(random.randrange(len(rows))))[:60]}"
    elif kind == "renamed":
        column = random.randrange(len(header))
        header[column], fault = header[column].upper(), f"{header[column]} in capitals"
    elif kind == "swapped" and rows:
        # Two columns of prose could be swapped, and nobody but a reader would know.
        column = figures[-1] if figures and figures[-1] else next(n for n, name in enumerate(header) if name in CHECKED)
        header[0], header[column], fault = header[column], header[0], f"{header[0]} and {header[column]} swapped"
    elif kind == "cut":
        return "cut in half", content[: len(content) // 2]
    else:
        column = random.randrange(len(header))
        fault = f"without column {header[column]}"
        for row in [header, *rows]:
            del row[column]
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return fault, text.getvalue().encode()
