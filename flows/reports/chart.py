"""The score of the last year as a small SVG, without a plotting library and with nothing to fetch."""

from pathlib import Path
from typing import Final

from transforms.capitulation import CAPITULATIONS, RULE
from warehouse.publication_queries import score_history
from warehouse.reading import open_publication

DAYS: Final = 365
WIDTH: Final = 720
HEIGHT: Final = 220
LEFT: Final = 36
TOP: Final = 24
BOTTOM: Final = 28
RIGHT: Final = 12
GUIDES: Final = (0, *RULE.limits, 100)


def chart(published: Path) -> str:
    """An SVG of `capitulation_score` with days of capitulation shaded; about ten kilobytes."""
    with open_publication(published) as publication:
        rows = score_history(publication, DAYS)
    count = max(len(rows) - 1, 1)

    def x(index: float) -> float:
        return round(LEFT + index * (WIDTH - LEFT - RIGHT) / count, 1)

    def y(score: float) -> float:
        return round(TOP + (100 - score) * (HEIGHT - TOP - BOTTOM) / 100, 1)

    shades = "".join(
        f'<rect x="{x(first)}" y="{TOP}" width="{round(x(last + 1) - x(first), 1)}" height="{HEIGHT - TOP - BOTTOM}"/>'
        for first, last in _stretches([row["capitulation_state"] in CAPITULATIONS for row in rows])
    )
    guides = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(guide)}" y2="{y(guide)}"/>'
        f'<text x="{LEFT - 6}" y="{y(guide) + 4}" text-anchor="end">{guide}</text>'
        for guide in GUIDES
    )
    scores = [row["capitulation_score"] for row in rows]
    known = [
        [(x(index), y(scores[index])) for index in range(first, last + 1)]
        for first, last in _stretches([score is not None for score in scores])
    ]
    lines = "".join(f'<polyline points="{" ".join(f"{a},{b}" for a, b in line)}"/>' for line in known)
    simulated = " (simulated)" if rows and rows[-1]["sources"] == "simulated" else ""
    first_day, last_day = (rows[0]["day"], rows[-1]["day"]) if rows else ("", "")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#ffffff"/>'
        f'<g fill="#f4c7b8">{shades}</g><g stroke="#d9d9d9" fill="#555555" stroke-width="0.5">{guides}</g>'
        f'<g fill="none" stroke="#8a2b0f" stroke-width="1.5">{lines}</g>'
        f'<text x="{LEFT}" y="15" font-size="13">Capitulation score{simulated}; shaded: capitulation</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 10}">{first_day}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" text-anchor="end">{last_day}</text></svg>'
    )


def _stretches(flags: list[bool]) -> list[tuple[int, int]]:
    """First and last index of each unbroken run of true."""
    found: list[tuple[int, int]] = []
    for index, flag in enumerate(flags):
        if flag and found and found[-1][1] == index - 1:
            found[-1] = (found[-1][0], index)
        elif flag:
            found.append((index, index))
    return found
