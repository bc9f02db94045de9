"""Shards of a run that other processes read, on this machine or on others: its workers.

A worker is sent a `ShardWork`, in which there is no setting and no secret: where the source is and how to sign in there
it reads from its own environment. It shares the folder of the home with the run, leaves there what a shard gave, under
the name of its content, and takes there what it may spend.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import polars as pl

from flows.run.plan import Run
from flows.run.sources import Sources
from flows.settings import Settings, read_settings
from flows.sources.kinds import kind_of
from flows.sources.protocol import Shard, Sharded
from flows.sources.share import Share, SharedBudget
from schemas.errors import HashpivotError, SettingsError

if TYPE_CHECKING:
    from flows.sources.web.usage import Used

logger = logging.getLogger(__name__)

PACKAGES: Final = ("flows", "schemas", "transforms", "warehouse")
CODE_SUFFIXES: Final = frozenset({".csv", ".json", ".py", ".sql"})
DIGEST_CHARACTERS: Final = 12
SEEN_NAME: Final = "seen"
REQUESTS_NAME: Final = "requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a worker has to have in common with the run.

    `home`: where the run has its home, for messages. `token`: name of a folder in it. `family`: of the source's values,
    such as the chain of a node.
    """

    source_name: str
    family: str
    software: str
    home: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardWork:
    """One shard for a worker. `readers_count`: how many shards of the run are read at once, this one included.

    `most_requests_count`: request budget of the run, for messages; None where the source is not hosted.
    """

    terms: Terms
    shard: Shard
    readers_count: int
    most_requests_count: int | None


@cache
def software() -> str:
    """What decides which bytes a shard becomes: our version and code, and that of the library that writes them."""
    digest = sha256()
    for package in PACKAGES:
        folder = Path(str(files(package)))
        for path in sorted(folder.rglob("*")):
            if path.suffix in CODE_SUFFIXES:
                digest.update(f"{package}/{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return f"hashpivot {version('hashpivot')}, code {digest.hexdigest()[:DIGEST_CHARACTERS]}, polars {pl.__version__}"


@contextmanager
def terms_of(run: Run, source_name: str) -> Iterator[Terms]:
    """What workers of `run` must have in common with it. Inside the block the home has a folder for them.

    At the end what workers have spent counts as spent by the run.
    """
    settings, token = run.settings, uuid4().hex
    folder = settings.workers / token
    folder.mkdir(mode=0o700, parents=True)
    web, budget, whole_count = run.sources.web, None, 0
    if web is not None and kind_of(source_name).hosted:
        whole_count = max(0, settings.max_requests - web.usage.requests_count)
        budget = SharedBudget.divided(folder / REQUESTS_NAME, whole_count)
    try:
        yield Terms(
            source_name=source_name,
            family=_family(settings, source_name),
            software=software(),
            home=str(settings.home.resolve()),
            token=token,
        )
    finally:
        if web is not None and budget is not None:
            web.usage.spend_elsewhere(source_name, requests_count=whole_count - budget.left())
        _remove(folder)


def check_terms(terms: Terms) -> None:
    """Raise `SettingsError` where this process cannot be a worker of the run: other software, folder or family."""
    if (here := software()) != terms.software:
        raise SettingsError("software of the worker", here, f"{terms.software}, as the run has", "install the same")
    settings = read_settings()
    try:
        (settings.workers / terms.token / SEEN_NAME).touch()
    except OSError as error:
        raise SettingsError(
            "HASHPIVOT_HOME of the worker",
            f"{settings.home.resolve()}: {error.strerror}",
            f"the folder {terms.home} of the run, to read and to write",
            "mount that folder there and name it, as the same user",
        ) from None
    if (family := _family(settings, terms.source_name)) != terms.family:
        whose = f"family of {terms.source_name} at the worker"
        raise SettingsError(whose, family, f"{terms.family}, as the run has", "correct the worker's settings")


def problem_of(terms: Terms) -> str:
    """Why this process cannot be a worker of the run, '' where it can."""
    try:
        check_terms(terms)
    except HashpivotError as error:
        return str(error)
    return ""


def read_for_run(work: ShardWork) -> Used | None:
    """Read one shard in this process with the settings of its environment, and leave it in the shared folder.

    What hosted sources have cost, None for others. Raises as `check_terms` and `Sharded.read`.
    """
    terms = work.terms
    check_terms(terms)
    settings = read_settings()
    budget = SharedBudget(settings.workers / terms.token / REQUESTS_NAME)
    share = Share(
        readers_count=work.readers_count,
        threads_count=1,
        requests=None if work.most_requests_count is None else budget,
    )
    with closing(Sources(settings, (terms.source_name,), share=share)) as sources:
        source = sources[terms.source_name]
        if not isinstance(source, Sharded):
            raise TypeError(f"{terms.source_name} has no shards")
        source.read(work.shard)
        if sources.web is None:
            return None
        from flows.sources.web.usage import total

        return total(sources.web.usage.by_site)


def _family(settings: Settings, source_name: str) -> str:
    return kind_of(source_name).family(settings.of_source(source_name))


def _remove(folder: Path) -> None:
    with suppress(OSError):  # a worker that still reads may add to it; it is empty files
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
        folder.rmdir()
