"""Lines for what a storage responds, the same for each library that sends requests to one."""

from typing import Final

from schemas.errors import HashpivotError, TargetUnreachableError, WarehouseError

RETRIED_STATUSES: Final = (408, 429)
"""Beside those from 500 on."""
REJECTED_STATUSES: Final = (401, 403)


def no_bucket(address: str, bucket: str) -> WarehouseError:
    """There is none of that name."""
    return WarehouseError(
        f"target {address}: found no bucket {bucket!r}, expected one; create it, or correct the address or "
        "AWS_ENDPOINT_URL"
    )


def no_key(address: str, otherwise: str = "") -> WarehouseError:
    """The environment holds none; `otherwise` says what else would do."""
    return WarehouseError(
        f"target {address}: found no key, expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY{otherwise}; set them"
    )


def key_rejected(address: str, stated: str) -> WarehouseError:
    """The storage does not know the key, or it may not do that; `stated` is its code and status."""
    return WarehouseError(
        f"target {address}: found the key rejected ({stated}), expected one that may list, read, write and delete "
        "there; correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the rights of the key"
    )


def not_accepted(address: str, status: int, stated: str) -> HashpivotError:
    """Any other status; another try may help where the storage is only busy."""
    if status < 500 and status not in RETRIED_STATUSES:
        return WarehouseError(
            f"target {address}: found {stated}, expected the request to be accepted; look at AWS_REGION and "
            "AWS_ENDPOINT_URL"
        )
    return TargetUnreachableError(address, stated)


def no_response(address: str, *, in_time: bool) -> TargetUnreachableError:
    """There was none at all, or none `in_time`."""
    return TargetUnreachableError(address, "no response in time" if in_time else "no response")
