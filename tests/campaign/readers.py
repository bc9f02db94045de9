"""Other real files with damaged bytes: labels, filed amounts, blocks. Read alone, as no run reads all of them."""

from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import polars as pl

from flows.sources.edgar.company_facts import CompanyFacts, filing_facts
from flows.sources.node.serialised import raw_block
from schemas.errors import HashpivotError
from tests.campaign.mutants import bytes_changed
from tests.campaign.tries import Outcome, Verdict, Workshop
from warehouse.labels import read_labels


def _labels(path: Path) -> Any:
    # A label that is stated twice is one label; what a run drops of a list it reports.
    return set(read_labels(path).rows.drop("source").rows())


def _filed_amounts(path: Path) -> Any:
    company = msgspec.json.decode(path.read_bytes(), type=CompanyFacts)
    rows, notices = filing_facts(path.name, company, int(str(company.cik)), date(2049, 12, 31))
    return rows.rows(), notices


def _block(path: Path) -> Any:
    return raw_block(path.read_bytes())


READERS: Final[dict[str, Callable[[Path], Any]]] = {
    "labels/*.csv": _labels,
    "labels/*.parquet": _labels,
    "edgar/*companyfacts*.json": _filed_amounts,
    "raw_blocks/*.raw": _block,
}
REFUSALS: Final = (HashpivotError, ValueError, msgspec.MsgspecError, pl.exceptions.PolarsError)
"""What a reader's caller takes for a damaged response; anything else would end a run."""
_undamaged: Final = cache(lambda reader, path: reader(path))


def try_reader(workshop: Workshop, name: str, random: Random) -> Outcome:
    """Damage one file and read it: refused, or read as it was."""
    pattern = random.choice(sorted(READERS))
    path = random.choice(sorted(workshop.data.glob(pattern)))
    fault, content = bytes_changed(path.read_bytes(), random)
    fault = f"{path.name}: {fault}"
    damaged = workshop.place(name).with_name(path.name)
    damaged.write_bytes(content)
    try:
        found = READERS[pattern](damaged)
    except REFUSALS as error:
        return Outcome(Verdict.REFUSED, fault, " ".join(str(error).split())[:160])
    undamaged = _undamaged(READERS[pattern], path)
    if found == undamaged:
        return Outcome(Verdict.UNCHANGED, fault)
    if isinstance(found, set) and found < undamaged:
        return Outcome(
            Verdict.REPORTED, fault, "a list cut at the end of a line: a run reports that the labels changed"
        )
    return Outcome(Verdict.SILENT, fault, "read as something else")
