"""Whether the files of the current publication are those that its manifest describes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from warehouse.atomic_files import sha256_of
from warehouse.targets.files import DATABASE_NAME, MANIFEST_NAME


def changed_files(folder: Path, *, all_of_them: bool = False) -> list[str]:
    """Files of the current publication under `folder` that were changed, removed or added after it was made.

    By default only the database, and its digest only where its size or its time differs; `all_of_them` takes the digest
    of every file. Empty where there is no publication. Raises `PermissionError` where it may not be read.
    """
    manifest = folder / MANIFEST_NAME
    try:
        described = {file["path"]: file for file in json.loads(manifest.read_bytes())["files"]}
        # The time of its last change of any kind, which no program can set. It was the last file to be written.
        made_ns = manifest.stat().st_ctime_ns
    except FileNotFoundError:
        return [MANIFEST_NAME] if (folder / "current").exists() else []
    except PermissionError:
        raise
    except (OSError, ValueError, LookupError, TypeError):
        return [MANIFEST_NAME]
    names = sorted(described) if all_of_them else [DATABASE_NAME]
    changed = [name for name in names if _is_changed(folder, name, described.get(name), made_ns, all_of_them)]
    return sorted({*changed, *_added(folder, described, all_of_them=all_of_them)})


def _is_changed(folder: Path, name: str, described: Any, made_ns: int, takes_digest: bool) -> bool:
    path = folder / name
    try:
        facts = path.stat()
        if described is None or facts.st_size != described["bytes"]:
            return True
        return (takes_digest or facts.st_ctime_ns > made_ns) and sha256_of(path) != described["sha256"]
    except (OSError, LookupError, TypeError):
        return True


def _added(folder: Path, described: dict[str, Any], *, all_of_them: bool) -> Iterator[str]:
    """What lies beside the files: a log beside the database would change what readers see."""
    version = folder / "current"
    found = version.rglob("*") if all_of_them else version.glob(f"{DATABASE_NAME}.*")
    for path in found:
        name = str(path.relative_to(version))
        if path.is_file() and name not in described and name != MANIFEST_NAME:
            yield name
