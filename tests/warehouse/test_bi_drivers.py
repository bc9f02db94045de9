"""SQLAlchemy, as BI tools use it: a pool that keeps nothing shows the next publication, and comments arrive."""

import json
from pathlib import Path

import pytest

from tests.docs.test_page_commands import BI
from tests.warehouse.conftest import Start
from tests.warehouse.warehouse_rows import FACTS, publication
from warehouse.publish import publish
from warehouse.targets.files import DATABASE_NAME, FileTarget

pytestmark = pytest.mark.skipif(
    not BI.is_file(), reason=f"NOT TESTED that SQLAlchemy reads a publication: no {BI}, run `make .venv/.bi`"
)
PROGRAM = """
import json, sys
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

options = {"connect_args": {"read_only": True}, "poolclass": NullPool}
engine = sa.create_engine(f"duckdb:///{sys.argv[1]}", **options)
for _ in sys.stdin:
    with engine.connect() as connection:
        count = connection.execute(sa.text("select count(*) from price_daily")).scalar()
    inspector = sa.inspect(engine)
    columns = {column["name"]: column["comment"] for column in inspector.get_columns("price_daily")}
    print(json.dumps([count, columns, inspector.get_table_comment("price_daily")["text"]]), flush=True)
"""


def test_engine_without_a_pool_shows_each_publication_with_its_comments(start: Start, published: Path) -> None:
    target = FileTarget(folder=published, keep=3)
    reader = start(PROGRAM, published / DATABASE_NAME, python=str(BI))
    assert reader.stdin is not None
    assert reader.stdout is not None
    for version, rows_count in (("v1", 10), ("v2", 20), ("v3", 30)):
        publish(publication(version, rows=rows_count), [target])
        print("look", file=reader.stdin, flush=True)
        count, comments, description = json.loads(reader.stdout.readline())
        (facts,) = (each for each in FACTS if each.name == "price_daily")
        assert count == rows_count
        assert comments == {column.name: column.comment() for column in facts.columns}
        assert description == facts.description
