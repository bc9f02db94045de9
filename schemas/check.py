"""The result of a check of finished tables: what was looked at, what was found, and whether it stops a publication."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import polars as pl

Severity = Literal["error", "warning", "notice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row of `meta.quality`. `table_name`: '' where it is about no single table; a table's own checks get its name.

    `value` is the figure that was judged, NULL where there is none.
    """

    check_name: str
    table_name: str = ""
    severity: Severity
    passed: bool
    value: float | None
    expected: str
    detail: str

    @property
    def stops(self) -> bool:
        """Whether it stops a publication."""
        return self.severity == "error" and not self.passed

    @property
    def name(self) -> str:
        """What it is called, the same whatever it finds."""
        return f"{self.table_name}: {self.check_name}" if self.table_name else self.check_name

    def message(self) -> str:
        """The failure as part of a one-line message."""
        return f"{self.name} ({self.detail}; expected {self.expected})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFacts:
    """What the catalogue states of a check: `docs/quality.md` is written from these.

    `name`: the name of its results, after the series or source that a result is about. `window`: the days it looks at.
    `reason`: why the limit is where it is and has this severity: what no chain or market can make stops, what is
    unlikely warns. `fault`: what it was made for.
    """

    name: str
    severity: Severity
    window: str
    reason: str
    fault: str

    def of(self, subject: str) -> str:
        """The name of the result about one series, source or pair."""
        return f"{subject}: {self.name}"


QUALITY = pl.Schema(
    {
        "check_name": pl.String,
        "table_name": pl.String,
        "severity": pl.String,
        "passed": pl.Boolean,
        "value": pl.Float64,
        "expected": pl.String,
        "detail": pl.String,
    }
)


def as_frame(checks: Sequence[Check]) -> pl.DataFrame:
    """Rows of `meta.quality`."""
    return pl.DataFrame([asdict(check) for check in checks], schema=QUALITY)


def from_notices(notices: Sequence[tuple[str, str, str]]) -> Iterator[Check]:
    """Turn what sources left out, (source, origin, message), into rows that never fail."""
    for source, origin, message in notices:
        yield Check(
            check_name=f"{source}: {origin}", severity="notice", passed=True, value=None, expected="", detail=message
        )


def failed(checks: Sequence[Check]) -> list[str]:
    """What stops the publication, each as a part of a sentence."""
    return [check.message() for check in checks if check.stops]
