"""History that is not attributed with the present labels is reported with its first day."""

from datetime import date

import polars as pl

from flows.sources.node.label_sets import label_set_after
from transforms.checks.label_sets import check_label_sets

OLD, NEW = "0123456789abcdef", "fedcba9876543210"


def days(*label_sets: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"day": [date(2026, 1, number) for number in range(1, len(label_sets) + 1)], "label_set": label_sets},
        schema={"day": pl.Date, "label_set": pl.String},
    )


def test_the_first_day_with_other_labels_is_named() -> None:
    check = check_label_sets(days(NEW, OLD, OLD, NEW), NEW)
    assert (check.passed, check.severity, check.value) == (False, "warning", 2.0)
    assert "differ from 2026-01-02 on, on 2 of 4 days" in check.detail
    assert "`hashpivot relabel`" in check.detail


def test_the_present_labels_pass_also_where_others_came_before() -> None:
    assert check_label_sets(days(NEW, label_set_after(NEW, OLD, 5)), NEW).passed
    assert check_label_sets(days(), NEW).passed


def test_the_version_states_what_came_before() -> None:
    mixed = label_set_after(NEW, OLD, 5)
    assert label_set_after(NEW, NEW, 5) == NEW
    assert mixed.startswith(NEW)
    assert len({mixed, NEW, label_set_after(NEW, OLD, 6), label_set_after(OLD, mixed, 9)}) == 4
    assert label_set_after(NEW, mixed, 9) == mixed
