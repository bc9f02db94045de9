"""The version that the home shows, published to the targets beside it; one that fails undoes nothing anywhere else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from schemas.errors import HashpivotError, SettingsError, TargetUnreachableError, TransientError, WarehouseError
from warehouse import journal
from warehouse.restore import finish_restore
from warehouse.targets.choose import target_at
from warehouse.targets.finished import Copied, CopyTarget, finished_version

if TYPE_CHECKING:
    from flows.run.plan import Progress, Run
    from flows.run.publish import Outcome
    from flows.settings import Profile, Settings

logger = logging.getLogger(__name__)

RETRY_PAUSES_SECONDS: Final = (5.0, 30.0)
"""Beside those that a target makes between its own requests."""

PublishTo = Callable[["Settings", str], Copied]
"""Publishes the version that the home shows to one address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """What became of one target in a run: `copied`, or the `error` that kept it from the version."""

    address: str
    copied: Copied | None = None
    error: HashpivotError | None = None

    def __str__(self) -> str:
        return str(self.error) if self.error else f"target {self.address}: {self.copied}"

    def facts(self) -> dict[str, Any]:
        """What a program may need to know of it."""
        copied = self.copied
        return {
            "version": copied.version if copied else None,
            "uploaded_count": copied.uploaded_count if copied else 0,
            "uploaded_bytes": copied.uploaded_bytes if copied else 0,
            "reused_count": copied.reused_count if copied else 0,
            "error": str(self.error) if self.error else None,
        }


def target_of(settings: Settings, address: str) -> CopyTarget:
    """The target at `address`, which keeps what the settings say. Makes no request."""
    return target_at(
        address,
        keep=settings.keep_publications,
        keep_snapshots=settings.keep_snapshots,
        time_scale=settings.web_time_scale,
    )


def publish_to(settings: Settings, address: str) -> Copied:
    """Publish the version that the home shows to `address`. Raises as `CopyTarget.publish`."""
    copied = target_of(settings, address).publish(finished_version(settings.published))
    logger.info("target %s %s", address, copied)
    return copied


def publish_to_with_retries(settings: Settings, address: str) -> Copied:
    """The same, tried again where that may help."""
    for pause_seconds in RETRY_PAUSES_SECONDS:
        try:
            return publish_to(settings, address)
        except TransientError as error:
            logger.info("tries again in %g s: %s", pause_seconds, error)
            time.sleep(pause_seconds * settings.web_time_scale)
    return publish_to(settings, address)


def with_targets(
    run: Run, outcome: Outcome, publish_one: PublishTo = publish_to_with_retries, progress: Progress | None = None
) -> Outcome:
    """The outcome of a run that published, once its version is at every target, or why it is not.

    A publication beside the current one goes nowhere else. A target that fails is caught up by the next run.
    """
    if not run.is_current:
        return outcome
    results = []
    for result in published_to(run.settings, run.settings.targets_of(run.profile), publish_one):
        results.append(result)
        if progress is not None:
            progress(str(result))
    warnings = tuple(str(result) for result in results if result.error)
    return replace(outcome, targets=tuple(results), warnings=(*outcome.warnings, *warnings))


def published_to(
    settings: Settings, addresses: Sequence[str], publish_one: PublishTo = publish_to_with_retries
) -> Iterator[TargetResult]:
    """Publish to each of the addresses; what became of it. The lock of the home is the caller's."""
    for address in addresses:
        try:
            yield TargetResult(address=address, copied=publish_one(settings, address))
        except HashpivotError as error:
            yield _failed(address, error)
        except TimeoutError:
            yield _failed(address, TargetUnreachableError(address, "no end within the limit of the task"))
        except Exception as error:  # the home has published, and stays so
            logger.exception("fault of the program at target %s", address)
            found = f"a fault of the program, {type(error).__name__}"
            yield _failed(address, WarehouseError(f"target {address}: found {found}, expected none; report it"))


def _failed(address: str, error: HashpivotError) -> TargetResult:
    logger.warning("%s", error)
    return TargetResult(address=address, error=error)


def publish_only(settings: Settings, profile: Profile, named: Sequence[str] = ()) -> list[TargetResult]:
    """Publish the version that the home shows to the `named` addresses, or to those that are set; fetch nothing.

    Raises `SettingsError` without any address, `WarehouseError` without a version, `WarehouseBusyError` during a run.
    """
    addresses = tuple(named) or settings.targets_of(profile)
    if not addresses:
        raise SettingsError(
            "HASHPIVOT_TARGETS", None, "an address such as s3://BUCKET/PREFIX", "set it, or name one with --target"
        )
    if not settings.published.exists():
        raise WarehouseError(f"{settings.published}: found no version, expected one; run `hashpivot daily`")
    with journal.one_run_at_a_time(settings.lock_file):
        finish_restore(settings.home)
        finished_version(settings.published)
        return list(published_to(settings, addresses))


def raise_failed(results: Sequence[TargetResult]) -> None:
    """Raise the error of the target that failed; where several did, one error that states them all."""
    errors = [each.error for each in results if each.error]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        kind = TransientError if all(isinstance(error, TransientError) for error in errors) else WarehouseError
        raise kind("; ".join(map(str, errors)))
