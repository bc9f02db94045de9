"""Where the files of a lake are: a bucket over HTTPS, or a folder with the same layout.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html. Key and ETag name one version of a file;
the ETag of one that was uploaded in parts is no digest of its content.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol
from xml.etree import ElementTree

from flows.sources.lake.kind import LAKE
from flows.sources.web.client import Client
from flows.sources.web.part import Part
from flows.sources.web.site import Limit, RetryPolicy, Site
from flows.sources.web.usage import OwnBudget
from schemas.errors import BadInputError, FileChangedError

logger = logging.getLogger(__name__)

SITE: Final = Site(
    name=LAKE.name,
    title="the block lake",
    address="https://aws-public-blockchain.s3.us-east-2.amazonaws.com",
    # The bucket states no limit of its own, and any one of S3 is far above this.
    limits=(Limit(25, 1),),
    content_types=(
        *("application/xml", "text/xml", "binary/octet-stream", "application/octet-stream"),
        *("application/vnd.apache.parquet", "application/x-parquet"),
    ),
    # A range of 8 MiB over a line of 70 kB/s; a server that stops sending is noticed after `read_seconds`.
    retry_policy=RetryPolicy(whole_seconds=120),
    limited_pause_seconds=2,
    cool_down_seconds=60,
)
_MOST_PAGES: Final = 100
_NAMESPACE: Final = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One version of one file: its name below the root of the lake, its ETag with the quotes, its size."""

    key: str
    etag: str
    size_bytes: int

    @property
    def name(self) -> str:
        """Last part of the key."""
        return self.key.rpartition("/")[2]


class Bucket(Protocol):
    """What is read of a lake."""

    def files(self, prefix: str) -> list[LakeFile]:
        """All files whose key begins with `prefix`, sorted by key."""
        ...

    def part(self, file: LakeFile, first: int, size_bytes: int) -> bytes:
        """A part of a file. Raises `FileChangedError` where it is no longer of that version."""
        ...

    def place(self, key: str) -> str:
        """Address of a file for messages."""
        ...

    def allow(self, budget: OwnBudget) -> None:
        """Let requests cost at most `budget`."""
        ...

    def report(self, line: str) -> None:
        """Show a line to whom waits."""
        ...

    @property
    def spacing_seconds(self) -> float:
        """Least time between two requests."""
        ...


class WebBucket:
    """A bucket of S3, or a server that lists and sends ranges as one does. Safe to use from several threads."""

    def __init__(self, client: Client, root: str) -> None:
        """`root`: what all keys of the lake begin with."""
        self._client, self._root = client, f"{root.strip('/')}/" if root.strip("/") else ""

    def files(self, prefix: str) -> list[LakeFile]:
        """By pages of `ListObjectsV2`. Raises as `Client.parsed`, and `BadInputError` for pages without end."""
        found: list[LakeFile] = []
        token: str | None = None
        for _ in range(_MOST_PAGES):
            params: dict[str, str | int] = {"list-type": 2, "prefix": self._root + prefix}
            if token is not None:
                params["continuation-token"] = token
            page, token = self._client.parsed("/", params, _page).value
            found += page
            if token is None:
                below = (replace(file, key=file.key.removeprefix(self._root)) for file in found)
                return sorted(below, key=lambda file: file.key)
        raise BadInputError(self.place(prefix), f"more than {_MOST_PAGES} pages", "a listing", "check the address")

    def part(self, file: LakeFile, first: int, size_bytes: int) -> bytes:
        """By a range. Raises as `Client.part`."""
        return self._client.part(f"/{self._root}{file.key}", Part(first, size_bytes, file.etag))

    def place(self, key: str) -> str:
        """Its address."""
        return self._client.place(f"/{self._root}{key}", {})

    def allow(self, budget: OwnBudget) -> None:
        """As `Usage.allow`."""
        self._client.usage.allow(self._client.site.name, budget)

    def report(self, line: str) -> None:
        """As other long work of hosted sources is reported."""
        self._client.report(line)

    @property
    def spacing_seconds(self) -> float:
        """That of the site."""
        return self._client.site.spacing_seconds


class FolderBucket:
    """A folder with the layout of the lake. A file is another version where its size or time of change is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def files(self, prefix: str) -> list[LakeFile]:
        """Files below the folder that `prefix` names. Raises `BadInputError` where there is no folder."""
        if not self._folder.is_dir():
            raise BadInputError(
                str(self._folder), "no folder", "one with `blocks` and `transactions`", "correct HASHPIVOT_LAKE_FOLDER"
            )
        table, _, begin = prefix.partition("/")
        days = (self._folder / table).glob(f"{begin}*")
        return [self._file(path) for day in sorted(days) for path in sorted(day.glob("*.parquet"))]

    def part(self, file: LakeFile, first: int, size_bytes: int) -> bytes:
        """Raises `FileChangedError` where the file changed since it was listed, or ends early."""
        path = self._folder / file.key
        try:
            with path.open("rb") as opened:
                opened.seek(first)
                content = opened.read(size_bytes)
            if len(content) == size_bytes and self._file(path) == file:
                return content
        except OSError as error:
            raise FileChangedError(str(path), error.strerror or type(error).__name__) from error
        raise FileChangedError(str(path), "another version")

    def place(self, key: str) -> str:
        """Its path."""
        return str(self._folder / key)

    def allow(self, budget: OwnBudget) -> None:
        """Reading a folder costs nobody anything."""

    def report(self, line: str) -> None:
        """In the log."""
        logger.info(line)

    @property
    def spacing_seconds(self) -> float:
        """None."""
        return 0.0

    def _file(self, path: Path) -> LakeFile:
        found = path.stat()
        key = path.relative_to(self._folder).as_posix()
        return LakeFile(key, f'"{found.st_size:x}-{found.st_mtime_ns:x}"', found.st_size)


def _page(body: bytes) -> tuple[list[LakeFile], str | None]:
    """Files of one page, and the token of the next. Raises `ValueError` for anything but such a page."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise ValueError(f"{len(body):,} bytes of XML that break off or are damaged ({error})") from error
    if root.tag.removeprefix(_NAMESPACE) != "ListBucketResult":
        raise ValueError(f"a response {root.tag.removeprefix(_NAMESPACE)!r} {root.findtext('Code', '')}".strip())
    files = [
        LakeFile(_text(each, "Key"), _text(each, "ETag"), int(_text(each, "Size")))
        for each in root.iter()
        if each.tag.removeprefix(_NAMESPACE) == "Contents"
    ]
    tokens = [each.text for each in root if each.tag.removeprefix(_NAMESPACE) == "NextContinuationToken"]
    return files, tokens[0] if tokens else None


def _text(contents: ElementTree.Element, name: str) -> str:
    for each in contents:
        if each.tag.removeprefix(_NAMESPACE) == name and each.text:
            return each.text
    raise ValueError(f"an entry without {name}")
