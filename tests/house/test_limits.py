"""A value outside the limits of its column stops a table, and the message names the column, the limit and the value."""

import pandera.polars as pa
import polars as pl
import pytest

from schemas.enforce import enforce
from schemas.errors import ContractError
from schemas.metric import metric
from schemas.table import NEVER, Table
from schemas.units import Unit
from transforms.catalog import PUBLISHED


@metric(unit=Unit.RATIO, error="None.", null_rule="NULL where nobody measured.", ge=0, le=1)
def share_ratio() -> pl.Expr:
    """Share."""
    return pl.col("share_ratio")


@metric(unit=Unit.LABEL, error="None.", null_rule="NULL where nobody measured.", labels=("calm", "storm"))
def weather() -> pl.Expr:
    """Weather."""
    return pl.col("weather")


@metric(unit=Unit.LABEL, error="None.", null_rule=None)
def station() -> pl.Expr:
    """Who measured."""
    return pl.col("station")


SCHEMA = Table(
    name="sample", description="Sample.", key=("share_ratio",), metrics=(share_ratio, weather, station)
).schema


def sample(share: float | None = 0.5, weather: str | None = "calm", station: str | None = "north") -> pl.DataFrame:
    types = {"share_ratio": pl.Float64, "weather": pl.String, "station": pl.String}
    return pl.DataFrame(
        {"share_ratio": [0.25, share], "weather": ["calm", weather], "station": ["north", station]}, schema=types
    )


@pytest.mark.parametrize("share", [0.0, 1.0, None])
def test_values_on_the_limits_and_unknown_ones_pass(share: float | None) -> None:
    assert enforce(sample(share, None), SCHEMA).height == 2


@pytest.mark.parametrize(
    ("share", "weather", "message"),
    [
        (-0.1, "calm", "share_ratio is at least 0, found -0.1"),
        (1.1, "calm", "share_ratio is at most 1, found 1.1"),
        (float("nan"), "calm", "share_ratio is finite, found nan"),
        (float("inf"), "calm", "share_ratio is finite, found inf"),
        (0.5, "fog", "weather is one of calm, storm, found 'fog'"),
    ],
)
def test_value_outside_its_limits_is_refused_by_name(share: float, weather: str, message: str) -> None:
    with pytest.raises(ContractError) as refused:
        enforce(sample(share, weather), SCHEMA)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_value_that_must_be_known_is_missed_by_name() -> None:
    with pytest.raises(ContractError, match="expected that station is known, found None"):
        enforce(sample(station=None), SCHEMA)


KEYED = Table(
    name="keyed",
    description="Keyed.",
    key=("station", "share_ratio"),
    metrics=(share_ratio, weather, station),
    truths={"a storm has a share": (pl.col("weather") != "storm") | pl.col("share_ratio").is_not_null()},
).schema


def keyed(*rows: tuple[float | None, str | None, str]) -> pl.DataFrame:
    types = {"share_ratio": pl.Float64, "weather": pl.String, "station": pl.String}
    return pl.DataFrame(list(rows), schema=types, orient="row")


SORTED = keyed((0.25, "calm", "east"), (0.75, None, "east"), (0.5, "storm", "north"))


@pytest.mark.parametrize(
    "frame",
    [SORTED, SORTED.reverse(), SORTED.clear(), SORTED.head(1), keyed((None, None, "east"), (0.25, None, "east"))],
    ids=["sorted", "unsorted", "empty", "one row", "NULL in a key"],
)
def test_frame_that_keeps_its_schema_passes(frame: pl.DataFrame) -> None:
    assert enforce(frame, KEYED) is frame
    assert KEYED.validate(frame, lazy=True).equals(frame)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (SORTED.drop("weather"), "column_in_dataframe"),
        (SORTED.with_columns(wind=1), "column_in_schema"),
        (SORTED.select("weather", "share_ratio", "station"), "column_ordered"),
        (SORTED.with_columns(pl.col("share_ratio").cast(pl.Float32)), "dtype"),
        (pl.concat([SORTED, SORTED.tail(1)]), "multiple_fields_uniqueness"),
        (pl.concat([SORTED, SORTED.head(1)]), "multiple_fields_uniqueness"),
        (keyed((None, None, "east"), (None, None, "east")), "multiple_fields_uniqueness"),
        (keyed((1.25, None, "east")), "share_ratio is at most 1"),
        (keyed((None, "storm", "east")), "a storm has a share"),
    ],
    ids=["missing", "unknown", "order", "type", "twice", "twice and unsorted", "NULL twice", "limit", "truth"],
)
def test_frame_that_breaks_its_schema_is_refused_with_the_words_of_pandera(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        enforce(frame, KEYED)


@pytest.mark.parametrize("rule", ["", "Sometimes."])
def test_column_without_a_rule_of_its_nulls_cannot_be_declared(rule: str) -> None:
    def station() -> pl.Expr:
        """Who measured."""
        return pl.col("station")

    with pytest.raises(TypeError, match="say when it is NULL, or None for never"):
        metric(unit=Unit.LABEL, error="None.", null_rule=rule)(station)


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.name)
def test_null_in_a_column_that_is_never_null_stops_the_table(table: Table) -> None:
    """Each such column alone, in rows of which nothing else is looked at."""
    never = [column.name for column in table.columns if column.null_rule == NEVER]
    assert never
    types = {name: column.dtype.type for name, column in table.schema.columns.items()}
    for name in never:
        alone = pl.DataFrame({name: [None]}, schema={name: types[name]})
        limits = (table.schema.metadata or {}).get("limits", {})
        is_refused = not alone.select(limits[f"{name} is known"]).item() if limits else not _passes(table, alone)
        assert is_refused, name


def _passes(table: Table, alone: pl.DataFrame) -> bool:
    (name,) = alone.columns
    try:
        enforce(alone, pa.DataFrameSchema({name: table.schema.columns[name]}))
    except ContractError:
        return False
    return True
