from functools import partial
from pathlib import Path

import pytest
from invocation import Hashpivot, invoke


@pytest.fixture
def hashpivot(tmp_path: Path) -> Hashpivot:
    """Run the installed command in a folder of its own and return what it said and how it ended."""
    return partial(invoke, tmp_path)
