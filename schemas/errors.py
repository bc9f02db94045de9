"""Every error class of the house; its class decides whether a retry can help and which code the command exits with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from schemas.text import cell

E = TypeVar("E", bound="HashpivotError")


def chain(error: BaseException | None) -> list[BaseException]:
    """The error, and those it was raised from or while another was handled; they may name each other in a circle."""
    found: list[BaseException] = []
    pending = [error]
    while pending:
        each = pending.pop()
        if each is not None and each not in found:
            found.append(each)
            pending += [each.__cause__, each.__context__]
    return found


class HashpivotError(Exception):
    """Base of all our errors. The message is one line: what was found, what was expected, what to do.

    It may hold what others wrote, and goes to terminals, tables and pages, so that what is not seen in it is escaped.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(cell(message))

    def __reduce__(self) -> tuple[Any, ...]:
        """Let an error go from one process to another with its facts; its `__init__` makes the message from others."""
        return _remade, (type(self), self.args, dict(self.__dict__))


def _remade(kind: type[E], args: tuple[Any, ...], facts: dict[str, Any]) -> E:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


class TransientError(HashpivotError):
    """Worth another try: a time-out, a rate limit, another run in progress."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h, so that cron wrappers know to come back


class TerminalError(HashpivotError):
    """Trying again cannot help."""


class SettingsError(TerminalError):
    """A setting, a profile or an argument that cannot be used."""

    exit_code = 2

    def __init__(self, setting: str, value: object, expected: str, remedy: str) -> None:
        self.setting, self.value, self.expected, self.remedy = setting, value, expected, remedy
        super().__init__(f"{setting}: found {value!r}, expected {expected}; {remedy}")


class BadInputError(TerminalError):
    """Something a source said that cannot be believed. Nothing of it was stored."""

    exit_code = 3

    def __init__(self, place: str, value: object, expected: str, remedy: str) -> None:
        self.place, self.value, self.expected, self.remedy = place, value, expected, remedy
        super().__init__(f"{place}: found {value!r}, expected {expected}; {remedy}")


class RunOverError(TerminalError):
    """The run was stopped or had its time, so that no further request is made."""

    def __init__(self, place: str) -> None:
        super().__init__(f"{place}: found the run at its end, expected to go on; what was kept stays, run again")


class ContractError(TerminalError):
    """A frame broke its schema; nothing was stored or published."""

    exit_code = 4

    def __init__(self, table: str, failures: int, first: str) -> None:
        self.table, self.failures, self.first = table, failures, first
        super().__init__(f"{table}: {failures} contract failure(s), first: {first}; nothing of it was stored")


class LicenceError(TerminalError):
    """A table without a source, or with one whose terms are not stated, cannot be published."""

    exit_code = 4

    def __init__(self, table: str, found: str, remedy: str) -> None:
        self.table, self.found = table, found
        super().__init__(
            f"table {table}: found {found}, expected a supplier and its licence; {remedy}, nothing was published"
        )


class QualityError(TerminalError):
    """A check of the finished tables failed; the last good publication stays.

    `failed` says of each check what it found, `names` only which ones they are.
    """

    exit_code = 5

    def __init__(self, failed: Sequence[str], names: Sequence[str] = ()) -> None:
        self.failed, self.names = tuple(failed), tuple(names) or tuple(failed)
        super().__init__(
            f"publication stopped by {len(failed)} failed check(s): {'; '.join(failed)}; the last publication stays; "
            "correct the source, or accept what is right by its name in HASHPIVOT_ACCEPT"
        )


class NothingToPublishError(TerminalError):
    """No day could be built from what the sources said."""

    exit_code = 6


class WarehouseBusyError(TransientError):
    """Another process holds the working database."""

    def __init__(self, path: str, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(f"{path}: found it held by {detail}, expected it to be free; wait for the other run to end")


class WarehouseError(TerminalError):
    """The working database or a publication cannot be used as it is."""

    exit_code = 7


class TargetUnreachableError(TransientError):
    """A publication target does not respond, or not now; its readers keep the version before."""

    def __init__(self, address: str, found: str) -> None:
        self.address = address
        super().__init__(
            f"target {address}: found {found}, expected a response; its readers keep the version before, the next run "
            "publishes there again, or `hashpivot publish-only` now"
        )


class NodeRefusalError(BadInputError):
    """The node understood a call and refused it; `code` is its own error code."""

    def __init__(self, place: str, code: int, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(place, f"error {code}: {message}", "a response", "look the code up in the node's manual")


class ChainReorganisedError(TransientError):
    """The node changed its mind about blocks that were read: from `height` on, what it said before no longer counts."""

    def __init__(self, height: int, found: str | None, expected: str | None) -> None:
        self.height, self.found, self.expected = height, found, expected
        super().__init__(
            f"block {height:,}: found {found}, expected {expected}; the chain was reorganised, walk back to the fork"
        )


class RequestRejectedError(BadInputError):
    """A hosted source understood a request and rejected it; `code` is its own error code, or the HTTP status."""

    def __init__(self, place: str, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(place, f"{code}: {message}", "a response", "look the code up in the source's manual")


class FileChangedError(TransientError):
    """A file of a hosted source is no longer the version of which parts were requested; what was read of it is void."""

    def __init__(self, place: str, found: str) -> None:
        super().__init__(f"{place}: found {found}, expected the version that was listed; list it again")


class SourcePausedError(TransientError):
    """A hosted source is paused: a request before `until` would prolong its block or break its rate limit."""

    def __init__(self, place: str, why: str, until: datetime) -> None:
        self.until = until
        super().__init__(f"{place}: found {why}, expected a response; no request before {until:%Y-%m-%d %H:%M} UTC")


class RequestBudgetError(TerminalError):
    """The next request would be one more than this run may make; it was not made."""

    exit_code = 75  # what was fetched is kept, so that the next run goes on from there

    def __init__(self, place: str, most_count: int) -> None:
        self.most_count = most_count
        super().__init__(
            f"{place}: found {most_count:,} requests made, expected a source that needs no more; "
            "run again to go on, or raise HASHPIVOT_MAX_REQUESTS"
        )


class QuarantineError(TerminalError):
    """A row in the quarantine with which that cannot be done; nothing was changed."""

    exit_code = 2

    def __init__(self, place: str, found: str, expected: str, remedy: str) -> None:
        super().__init__(f"{place}: found {found}, expected {expected}; {remedy}")


class UnfitWorkerError(TerminalError):
    """No process that was to read shards for a run can do it; `problems` has a line for each."""

    exit_code = 2

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        more = f"; {len(problems) - 1} more like it" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")


class OwnBudgetError(TerminalError):
    """A source with a budget of its own has spent it; no further request was made."""

    exit_code = 75  # what was fetched is kept, so that the next run goes on from there

    def __init__(self, place: str, requests_count: int, received_bytes: int, setting: str) -> None:
        super().__init__(
            f"{place}: found {requests_count:,} requests made and {received_bytes:,} bytes received, more than was "
            f"estimated; run again to go on, or raise {setting}"
        )
