"""Each file of tests has a name of its own: pytest imports them by it, and refuses the second of a name."""

from collections import Counter

from tests.invocation import REPOSITORY


def test_no_two_files_of_tests_have_one_name() -> None:
    names = Counter(path.name for path in (REPOSITORY / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
