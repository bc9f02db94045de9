"""SQL text lives under `warehouse/` only, so that a change of a table is a change of one folder."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("flows", "schemas", "transforms")
SQL = re.compile(
    r"\bselect\b.+\bfrom\b|^\s*(select|from)\s+\S+\s*$|^\s*with\s+\w+\s+as\s*\(|\binsert\s+into\b|\bupdate\s+\S+\s+set\b"
    r"|\bdelete\s+from\b|\b(create|alter|drop|truncate)\s+(or\s+replace\s+)?(temp\s+)?(table|view|schema|index)\b"
    r"|\battach\s+['{]|\bcopy\s+\(|\bcomment\s+on\b",
    re.IGNORECASE | re.DOTALL,
)


def sql_in(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each string that holds SQL; docstrings are prose."""
    tree = ast.parse(source)
    prose = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if node in prose or node in parts:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        else:
            continue
        if SQL.search(text):
            yield node.lineno, text


@pytest.mark.parametrize(
    "planted",
    [
        'rows = query(published, "select day from pool_daily")',
        'rows = query(published, f"select {column} from {table} limit {limit:d}")',
        'TOTALS = """\n    with known as (select 1)\n    from known\n"""',
        'connection.execute("insert into ops.run values (?)", [run])',
        "connection.execute(f\"update ops.run set status = '{status}'\")",
        'sql = "delete from raw.block"',
        'sql = f"create or replace table {name} as from rows"',
        "EXAMPLE = 'hashpivot sql \"select day from pool_daily\"'",
        'rows = query(published, "from pool_daily")',
    ],
)
def test_a_planted_statement_is_found(planted: str) -> None:
    assert list(sql_in(f'"""Select rows from a table."""\n\n{planted}\n'))


def test_prose_and_other_strings_are_no_sql() -> None:
    source = '"""Select the rows from a table."""\nadvice = "name another folder, or update the profile"\n'
    assert not list(sql_in(source))


def test_no_module_outside_the_warehouse_holds_sql() -> None:
    modules = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(modules) > 50
    found = [
        f"{path.relative_to(ROOT)}:{line}: {' '.join(text.split())[:60]}"
        for path in modules
        for line, text in sql_in(path.read_text(encoding="utf-8"))
    ]
    assert found == []
    assert not [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.sql")]
