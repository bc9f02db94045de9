"""Four charts of the report as pictures, for mail, chat and the scheduler's pages, which run no script.

They are drawn from the declarations of `flows.reports.page.charts`, as SVG, and rendered by resvg with a font that is
part of the package: a server has none, and text would be missing.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from importlib.resources import as_file, files
from typing import Final

import polars as pl
import resvg_py
from markupsafe import escape

from flows.reports.page import computed, marks, today
from flows.reports.page.charts import CHARTS, Chart, Colour, Line
from flows.reports.page.given import Given
from flows.reports.page.series import Axis
from flows.reports.summary import words
from schemas.text import visible

WIDTH: Final = 800
HEIGHT: Final = 420
ZOOM: Final = 1.5
"""1,200 by 630 pixels, which chats show whole."""
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 92, 50
FEWEST_DATES: Final = 4
MOST_DATES: Final = 9
MONTHS: Final = 12
LONG_SPAN_MONTHS: Final = 36
"""Over more of them dates are years."""
HUNDRED: Final = 100
FONTS: Final = ("DejaVuSans.subset.ttf", "DejaVuSans-Bold.subset.ttf")
COLOURS: Final[dict[Colour, str]] = {
    "blue": "#0072b2",
    "vermillion": "#c24d00",
    "green": "#007a58",
    "purple": "#a44f83",
    "orange": "#b07400",
    "sky": "#2b8cc4",
    "grey": "#6a737d",
}
"""Those of the page on white."""
SHADES: Final = {
    "strained": ("#e69f00", 0.2, "strain"),
    "capitulation": ("#d55e00", 0.38, "capitulation"),
    "deep": ("#8c1e00", 0.55, "deep capitulation"),
    "recovery": ("#009e73", 0.18, "recovery"),
}
"""By tone of a state the colour behind its days, how dense it is, and what stands for it below."""
MARKED: Final = {"H": "H: halving", "R": "R: break of labels"}
DIM: Final = "#545b64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Which chart is drawn, over how many days; where none are stated all, of the conversion those since it began.

    `is_small`: the sum of its lines instead of each, half as high, for a place that shows one at the width of a text.
    """

    name: str
    chart: str
    days: int | None = None
    is_small: bool = False

    @property
    def height(self) -> int:
        """Of the drawing."""
        return HEIGHT * 2 // 3 if self.is_small else HEIGHT


PICTURES: Final = (
    Picture(name="score", chart="score", days=365),
    Picture(name="price", chart="price"),
    Picture(name="exchange-flows", chart="exchange_flows"),
    Picture(name="megawatts", chart="megawatts"),
)
SMALL: Final = Picture(name="score-small", chart="score", days=365, is_small=True)
"""Not rendered: the scheduler's pages draw it themselves."""


def pictures(given: Given) -> dict[str, bytes]:
    """The pictures as PNG, by the name of their file."""
    return {f"{picture.name}.png": png(svg(given, picture)) for picture in PICTURES}


def png(drawing: str) -> bytes:
    """The `drawing`, an SVG, as PNG of `ZOOM` times its size."""
    return bytes(resvg_py.svg_to_bytes(svg_string=drawing, zoom=ZOOM, skip_system_fonts=True, font_files=_fonts()))


def inline(drawing: str) -> str:
    """The `drawing` as an address that holds all of it.

    The scheduler's page writes the address below the picture, so that it is kept short, and keeps the spaces at which
    its lines can break: in base64 it would run out of the panel. No text of a drawing has a quotation mark.
    """
    kept = drawing.replace('"', "'").translate({ord(sign): f"%{ord(sign):02X}" for sign in "%#<>"})
    return f"data:image/svg+xml;charset=utf-8,{kept}"


@cache
def _fonts() -> list[str]:
    folder = files("flows.reports.page").joinpath("assets", "dejavu")
    with as_file(folder) as path:  # the package is installed as files
        return [str(path / name) for name in FONTS]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """Where days and values are: days from position `first` to `last` of the axis, values from `low` to `high`."""

    first: int
    last: int
    low: float
    high: float
    is_log: bool
    height: int

    def x(self, at: float) -> float:
        return LEFT + (at - self.first) * (WIDTH - LEFT - RIGHT) / max(self.last - self.first, 1)

    def y(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        low, high = (math.log(self.low), math.log(self.high)) if self.is_log else (self.low, self.high)
        share = ((math.log(value) if self.is_log else value) - low) / ((high - low) or 1)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)


def svg(given: Given, picture: Picture) -> str:
    """One chart as SVG of `WIDTH` pixels, with its newest values, its days and the profile in words."""
    (chart,) = (chart for chart in CHARTS if chart.name == picture.chart)
    days = given.tables["capitulation_daily"]
    axis = Axis.of(*(given.tables[line.key.partition(".")[0]] for line in chart.lines), days)
    columns = [_column(given, line, axis) for line in chart.lines]
    if picture.is_small:
        chart, columns = _summed(chart, columns)
    first, last = _span(given, chart, picture, axis, columns)
    shown = [column[first : last + 1] for column in columns]
    tops = _stacked(shown) if chart.lines[0].kind == "stacked" else shown
    is_log = bool(chart.log)
    known = [value for column in tops for value in column if value is not None and (value > 0 or not is_log)]
    low, high = chart.limits or _limits(known, is_log, is_from_zero=chart.zero)
    frame = _Frame(first=first, last=last, low=low, high=high, is_log=is_log, height=picture.height)
    shades = list(_shades(days, axis, frame)) if chart.shaded else []
    signs = list(_signs(given, chart, axis, frame))
    parts = [
        *(shape for _, shape in shades),
        *_scale(frame),
        *_dates(axis, frame),
        *(_areas(chart, tops, frame) if chart.lines[0].kind == "stacked" else _lines(chart, tops, frame)),
        *_guides(frame, chart),
        *_marks(signs, frame),
        *_headings(given, chart, shown, axis, frame),
        *_foot(given, [tone for tone, _ in shades], [sign for _, sign in signs], frame),
        *(() if known else [_text(WIDTH / 2, picture.height / 2, "No values in this publication", "middle")]),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{picture.height}" '
        f'viewBox="0 0 {WIDTH} {picture.height}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="12" '
        f'fill="#16191d"><rect width="{WIDTH}" height="{picture.height}" fill="#fff"/>{"".join(parts)}</svg>'
    )


def _column(given: Given, line: Line, axis: Axis) -> list[float | None]:
    """Values of a line, one a day of the `axis`."""
    table, _, name = line.key.partition(".")
    rows = given.tables[table]
    values: list[float | None] = [None] * axis.count
    if rows.height:
        at = axis.index(rows["day"][0])
        values[at : at + rows.height] = rows[name].cast(pl.Float64).fill_nan(None).to_list()
    return values


def _summed(chart: Chart, columns: list[list[float | None]]) -> tuple[Chart, list[list[float | None]]]:
    line = Line(key=f"{chart.lines[0].key.partition('.')[0]}.capitulation_score", label="Score", colour="vermillion")
    return replace(chart, title="Capitulation score", lines=(line,)), [_stacked(columns)[-1]]


def _span(
    given: Given, chart: Chart, picture: Picture, axis: Axis, columns: Sequence[Sequence[float | None]]
) -> tuple[int, int]:
    """First and last position that is drawn."""
    known = [at for column in columns for at in (_first_known(column), _last_known(column)) if at is not None]
    if not known:
        return 0, axis.count - 1
    first, last = min(known), max(known)
    if picture.days is not None:
        return max(first, last + 1 - picture.days), last
    begin = computed.first_contract(given.tables["conversion_daily"]) if chart.group == "conversion" else None
    return (first if begin is None else max(first, axis.index(begin - timedelta(days=60)))), last


def _first_known(column: Sequence[float | None]) -> int | None:
    return next((at for at, value in enumerate(column) if value is not None), None)


def _last_known(column: Sequence[float | None]) -> int | None:
    return next((at for at in range(len(column) - 1, -1, -1) if column[at] is not None), None)


def _stacked(columns: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    """Tops of the areas from the lowest on; unknown where any part is."""
    tops: list[list[float | None]] = []
    for column in columns:
        below = tops[-1] if tops else [0.0] * len(column)
        tops.append([None if a is None or b is None else a + b for a, b in zip(column, below, strict=True)])
    return tops


def _limits(known: Sequence[float], is_log: bool, *, is_from_zero: bool) -> tuple[float, float]:
    if not known:
        return (1.0, 10.0) if is_log else (0.0, 1.0)
    low, high = min(known), max(known)
    if is_log:
        return low / 1.1, high * 1.2
    is_from_zero = is_from_zero or 0 < low < high / 4
    low = min(low, 0.0) if is_from_zero else low
    margin = 0.05 * ((high - low) or abs(high) or 1.0)
    return low if is_from_zero else low - margin, high + margin


def _headings(
    given: Given, chart: Chart, shown: Sequence[Sequence[float | None]], axis: Axis, frame: _Frame
) -> Iterator[str]:
    """Title, profile, state; the legend with the newest value of each line."""
    newest = given.newest_scored()
    is_real = chart.group == "conversion" or not given.about.get("simulated")
    profile = f"profile {visible(str(given.about.get('profile', '')))}{'' if is_real else ', simulated data'}"
    yield f'<text x="12" y="24" font-size="16" font-weight="bold">{escape(chart.title)}</text>'
    yield _text(WIDTH - RIGHT, 24, profile, "end")
    score = newest["capitulation_score"]
    stated = "score unknown" if score is None else f"score {score:.1f} of 100"
    state = f"Miners on {newest['day']}: {words(newest['capitulation_state'])}, {stated}"
    yield _text(12, 45, state if chart.shaded else "Verified contracts and deliveries, as known on the day")
    x = 12.0
    for line, column in zip(chart.lines, shown, strict=True):
        at = _last_known(column)
        value = "unknown" if at is None else _figure(column[at] or 0.0)
        day = "" if at is None else f" on {axis.first + timedelta(days=frame.first + at)}"
        label = f"{line.label}: {value}{day if line is chart.lines[-1] else ''}"
        yield f'<rect x="{x:g}" y="60" width="14" height="9" fill="{COLOURS[line.colour]}"/>'
        yield _text(x + 20, 69, label)
        x += 42 + 7.1 * len(label)
    yield _text(WIDTH - RIGHT, 86, chart.unit, "end", DIM)


def _foot(given: Given, tones: Sequence[str], signs: Sequence[str], frame: _Frame) -> Iterator[str]:
    """What shades and signs stand for, and the publication."""
    x, y = 12.0, frame.height - 10
    for tone, (colour, density, word) in SHADES.items():
        if tone in tones:
            yield (
                f'<rect x="{x:g}" y="{y - 9}" width="14" height="9" fill="{colour}" fill-opacity="{density}" '
                f'stroke="{DIM}" stroke-width="0.5"/>'
            )
            yield _text(x + 18, y, word, "start", DIM)
            x += 30 + 7.1 * len(word)
    for sign in dict.fromkeys(signs):
        yield _text(x, y, MARKED[sign], "start", DIM)
        x += 12 + 7.1 * len(MARKED[sign])
    yield _text(WIDTH - RIGHT, y, f"hashpivot, published {given.created_at:%Y-%m-%d}", "end", DIM)


def _shades(days: pl.DataFrame, axis: Axis, frame: _Frame) -> Iterator[tuple[str, str]]:
    """Tone and shape of each stretch of days in one state."""
    for first, last, state in marks.states(days, axis):
        tone = today.tone(state)
        if tone not in SHADES or last < frame.first or first > frame.last:
            continue
        left, right = frame.x(max(first, frame.first)), frame.x(min(last + 1, frame.last))
        colour, density, _ = SHADES[tone]
        yield (
            tone,
            f'<rect x="{left:.1f}" y="{TOP}" width="{max(right - left, 0.8):.1f}" '
            f'height="{frame.height - TOP - BOTTOM}" fill="{colour}" fill-opacity="{density}"/>',
        )


def _scale(frame: _Frame) -> Iterator[str]:
    for value in _ticks(frame):
        y = frame.y(value)
        yield _rule(LEFT, y, WIDTH - RIGHT, y, "#d5d9de", 0.7)
        yield _text(LEFT - 6, y + 4, _figure(value), "end", DIM)


def _guides(frame: _Frame, chart: Chart) -> Iterator[str]:
    """Over what is drawn, with their words on white."""
    for value, meaning in (chart.guides or {}).items():
        if frame.low < value < frame.high:
            y = frame.y(value)
            yield _rule(LEFT, y, WIDTH - RIGHT, y, "#16191d", 0.8, "5 4")
            yield (
                f'<g stroke="#fff" stroke-width="3" stroke-linejoin="round" paint-order="stroke">'
                f"{_text(LEFT + 4, y - 4, meaning)}</g>"
            )


def _ticks(frame: _Frame) -> list[float]:
    if not frame.is_log:
        step = _step((frame.high - frame.low) / 5)
        begin = math.ceil(frame.low / step)
        return [step * number for number in range(begin, math.floor(frame.high / step) + 1)]
    exponents = range(math.floor(math.log10(frame.low)), math.ceil(math.log10(frame.high)) + 1)
    digits = (1,) if len(exponents) > FEWEST_DATES else (1, 2, 5)
    values = [digit * 10.0**exponent for exponent in exponents for digit in digits]
    return [value for value in values if frame.low <= value <= frame.high]


def _step(least: float) -> float:
    """The next of 1, 2, 5, 10, 20 and so on."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


def _dates(axis: Axis, frame: _Frame) -> Iterator[str]:
    begin, end = (axis.first + timedelta(days=at) for at in (frame.first, frame.last))
    months = (end.year - begin.year) * MONTHS + end.month - begin.month
    step = next((each for each in (1, 2, 3, 6, 12, 24, 48) if months / each <= MOST_DATES), 96)
    shape = "%Y" if months > LONG_SPAN_MONTHS else "%b %Y"
    number = begin.year * MONTHS + begin.month - 1
    for each in range(-(-number // step) * step, number + months + 1, step):
        day = date(each // MONTHS, each % MONTHS + 1, 1)
        if begin <= day <= end:
            x = frame.x(axis.index(day))
            yield _rule(x, frame.height - BOTTOM, x, frame.height - BOTTOM + 4, DIM, 0.8)
            yield _text(x, frame.height - BOTTOM + 17, f"{day:{shape}}", "middle", DIM)


def _signs(given: Given, chart: Chart, axis: Axis, frame: _Frame) -> Iterator[tuple[int, str]]:
    """Position and sign of halvings and breaks of labels within the days that are drawn."""
    days = given.tables["capitulation_daily"]
    if "halvings" in chart.marks:
        yield from ((at, "H") for at, _ in marks.halvings(days, axis) if frame.first <= at <= frame.last)
    if "regimes" in chart.marks:
        starts = marks.regimes(days, given.tables["flow_regime"], axis)
        yield from ((at, "R") for at, _ in starts if frame.first <= at <= frame.last)


def _marks(signs: Sequence[tuple[int, str]], frame: _Frame) -> Iterator[str]:
    for at, sign in signs:
        x = frame.x(at)
        yield _rule(x, TOP, x, frame.height - BOTTOM, DIM, 0.8, "2 3")
        yield _text(x + 3, TOP + 11, sign, "start", DIM)


def _lines(chart: Chart, columns: Sequence[Sequence[float | None]], frame: _Frame) -> Iterator[str]:
    for line, column in zip(chart.lines, columns, strict=True):
        width = 1.0 if line.kind == "thin" else 1.8
        path = "".join(
            _path(_thinned(stretch, frame), is_step=line.kind == "step") for stretch in _stretches(column, frame)
        )
        if path:
            yield (
                f'<path d="{path}" fill="none" stroke="{COLOURS[line.colour]}" stroke-width="{width}" '
                f'stroke-linejoin="round"/>'
            )


def _areas(chart: Chart, tops: Sequence[Sequence[float | None]], frame: _Frame) -> Iterator[str]:
    """The whole of the stack first, the lower parts over it, so that each edge is drawn once."""
    base = frame.y(max(frame.low, 0.0))
    for line, column in reversed(list(zip(chart.lines, tops, strict=True))):
        path = ""
        for stretch in _stretches(column, frame):
            points = _thinned(stretch, frame)
            path += f"{_path(points, is_step=False)}V{base:.0f}H{points[0][0]:.1f}Z"
        if path:
            yield f'<path d="{path}" fill="{COLOURS[line.colour]}"/>'


def _stretches(column: Sequence[float | None], frame: _Frame) -> Iterator[list[tuple[float, float]]]:
    """Points of each unbroken run of known values."""
    points: list[tuple[float, float]] = []
    for number, value in enumerate(column):
        if value is not None and (value > 0 or not frame.is_log):
            points.append((frame.x(frame.first + number), frame.y(value)))
        elif points:
            yield points
            points = []
    if points:
        yield points


def _thinned(points: list[tuple[float, float]], frame: _Frame) -> list[tuple[float, float]]:
    """The same line with at most the highest and the lowest point of each half of a pixel."""
    if len(points) <= 2 * (WIDTH - LEFT - RIGHT):
        return points
    columns: dict[int, list[tuple[float, float]]] = {}
    for point in points:
        columns.setdefault(int(point[0] * 2), []).append(point)
    kept: list[tuple[float, float]] = []
    for within in columns.values():
        ends = {min(within, key=lambda point: point[1]), max(within, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept


def _path(points: Sequence[tuple[float, float]], *, is_step: bool) -> str:
    """The points as commands of a path; in steps a value holds until the next one."""
    (x, y), *others = points
    commands = [f"M{x:.1f} {y:.1f}"]
    before = y
    for x, y in others:
        if is_step:
            if y != before:
                commands.append(f"H{x:.1f}V{y:.1f}")
        else:
            commands.append(f"L{x:.1f} {y:.1f}")
        before = y
    if is_step or not others:
        commands.append(f"H{x + (0 if others else 1):.1f}")
    return "".join(commands)


def _figure(value: float) -> str:
    if value == 0:
        return "0"
    digits = 0 if abs(value) >= HUNDRED else 1
    text = f"{value:,.{digits}f}" if abs(value) >= 1 else f"{value:.2g}"
    return text.removesuffix(".0").replace("-", "\N{MINUS SIGN}")


def _text(x: float, y: float, content: str, anchor: str = "start", colour: str = "#16191d") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(content)}</text>'


def _rule(x: float, y: float, x2: float, y2: float, colour: str, width: float, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"{dashed}/>'
    )
