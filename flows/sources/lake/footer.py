"""Which parts of a Parquet file hold the wanted columns, and the footer of a copy that holds nothing else.

Source: github.com/apache/parquet-format, src/main/thrift/parquet.thrift. Chunks of columns are copied byte for byte, so
that no page is decoded here. What a copy does not need is left out of its footer: page indexes and Bloom filters, which
are not copied, and the schema that Spark or Arrow keep beside that of Parquet, which still has all columns.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from flows.sources.lake.compact import Field, Items, Kind, Reader, Struct, written

MAGIC: Final = b"PAR1"
END_BYTES: Final = 8
"""Length of the footer and the magic number, at the end of a file."""
LARGEST_RANGE_BYTES: Final = 8 * 1024**2
WORTH_A_REQUEST_BYTES: Final = 64 * 1024
"""Bytes between two chunks that are fetched with them rather than by a request of their own."""

Column = tuple[str, str]
"""First and last name of a leaf, without the names that a writer gives the parts of a list."""
_PARTS_OF_LISTS: Final = frozenset({"list", "element", "item", "bag", "array", "array_element"})

# Fields of FileMetaData, SchemaElement, RowGroup, ColumnChunk and ColumnMetaData, in this order.
_VERSION, _SCHEMA, _ROWS, _ROW_GROUPS, _WRITER = 1, 2, 3, 4, 6
_NAME, _CHILDREN = 4, 5
_COLUMNS, _GROUP_BYTES, _GROUP_ROWS, _GROUP_OFFSET, _GROUP_COMPRESSED, _ORDINAL = 1, 2, 3, 5, 6, 7
_CHUNK_OFFSET, _METADATA = 2, 3
_PATH, _UNCOMPRESSED, _COMPRESSED, _DATA_PAGE, _DICTIONARY_PAGE = 3, 6, 7, 9, 11
_DAMAGED: Final = (KeyError, AttributeError, TypeError, IndexError, RuntimeError)
"""What comes of a field that is missing or of another type; the last of a schema that ends early."""
_KEPT_OF_COLUMN: Final = (1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13)
"""Without index pages, Bloom filter, and the metadata of writers."""


class Chunk(NamedTuple):
    """Where the pages of one column of one row group are."""

    first: int
    size_bytes: int


class Range(NamedTuple):
    """Bytes to fetch at once; `kept`: where in them, and how much of them, goes into the copy."""

    first: int
    size_bytes: int
    kept: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Pruned:
    """The copy of a file: its chunks in the order of the file, its footer, and the columns that were found."""

    chunks: tuple[Chunk, ...]
    footer: bytes
    columns: frozenset[Column]
    rows_count: int

    @property
    def needed_bytes(self) -> int:
        """What the chunks take."""
        return sum(chunk.size_bytes for chunk in self.chunks)


def footer_bytes(end: bytes) -> int:
    """Length of the footer, from the last bytes of a file. Raises `ValueError` where they are not those of Parquet."""
    if end[-len(MAGIC) :] != MAGIC:
        raise ValueError(f"an end of {end[-len(MAGIC) :]!r}")
    return int.from_bytes(end[-END_BYTES : -len(MAGIC)], "little")


def pruned(footer: bytes, file_bytes: int, wanted: Container[Column]) -> Pruned:
    """The copy of a file with this footer that has the `wanted` columns, as far as the file has them.

    Raises `ValueError` for a footer that is damaged or names bytes that the file does not have.
    """
    try:
        return _pruned(Reader(footer).struct(), file_bytes - len(footer) - END_BYTES, wanted)
    except _DAMAGED as error:
        raise ValueError(f"a footer without {error}") from error


def columns_of(footer: bytes) -> frozenset[Column]:
    """All columns of a file with this footer. Raises `ValueError` for a damaged footer."""
    try:
        return frozenset(map(_column, _leaves(iter(Reader(footer).struct()[_SCHEMA].value.values), ())))
    except _DAMAGED as error:
        raise ValueError(f"a footer without {error}") from error


def rows_of_groups(footer: bytes) -> list[int]:
    """Rows of each row group. Raises `ValueError` for a damaged footer."""
    try:
        return [group[_GROUP_ROWS].value for group in Reader(footer).struct()[_ROW_GROUPS].value.values]
    except _DAMAGED as error:
        raise ValueError(f"a footer without {error}") from error


def _pruned(file: Struct, pages_end: int, wanted: Container[Column]) -> Pruned:
    moved: dict[Chunk, int] = {}
    columns: set[Column] = set()
    # One without rows may name pages that are not there.
    filled = [group for group in file[_ROW_GROUPS].value.values if group[_GROUP_ROWS].value]
    groups = [_wanted_columns(group, wanted) for group in filled]
    for _, chunks in groups:
        for column, metadata in chunks:
            chunk = _chunk(metadata)
            if chunk.first < len(MAGIC) or chunk.size_bytes <= 0 or chunk.first + chunk.size_bytes > pages_end:
                raise ValueError(f"column {'.'.join(column)} at bytes {chunk.first:,} and {chunk.size_bytes:,} more")
            columns.add(column)
            moved[chunk] = 0
    at = len(MAGIC)
    for chunk in sorted(moved):
        moved[chunk] = at
        at += chunk.size_bytes
    schema = list(_wanted_schema(iter(file[_SCHEMA].value.values), wanted, ()))
    copy: Struct = {number: file[number] for number in (_VERSION, _ROWS, _WRITER) if number in file}
    copy[_SCHEMA] = Field(Kind.LIST, Items(Kind.STRUCT, schema))
    copy[_ROW_GROUPS] = Field(Kind.LIST, Items(Kind.STRUCT, [_group(group, chunks, moved) for group, chunks in groups]))
    return Pruned(tuple(sorted(moved)), written(copy), frozenset(columns), file[_ROWS].value)


def _wanted_columns(group: Struct, wanted: Container[Column]) -> tuple[Struct, list[tuple[Column, Struct]]]:
    found = []
    for chunk in group[_COLUMNS].value.values:
        metadata = chunk[_METADATA].value
        column = _column([name.decode() for name in metadata[_PATH].value.values])
        if column in wanted:
            found.append((column, metadata))
    return group, found


def _column(path: Sequence[str]) -> Column:
    names = [path[0], *(name for name in path[1:] if name not in _PARTS_OF_LISTS)]
    return names[0], names[-1]


def _leaves(elements: Iterator[Struct], above: tuple[str, ...], *, is_root: bool = True) -> Iterator[tuple[str, ...]]:
    """Paths of the leaves that the next element of the schema has, itself if it is one."""
    element = next(elements)
    path = above if is_root else (*above, element[_NAME].value.decode())
    count = element[_CHILDREN].value if _CHILDREN in element else 0
    if not count and not is_root:
        yield path
    for _ in range(count):
        yield from _leaves(elements, path, is_root=False)


def _chunk(metadata: Struct) -> Chunk:
    """Where its pages are. Spark writes no offset of a dictionary: it is where the data pages are said to begin."""
    first = metadata[_DATA_PAGE].value
    dictionary = metadata[_DICTIONARY_PAGE].value if _DICTIONARY_PAGE in metadata else 0
    return Chunk(min(first, dictionary) if dictionary > 0 else first, metadata[_COMPRESSED].value)


def _group(group: Struct, chunks: Sequence[tuple[Column, Struct]], moved: dict[Chunk, int]) -> Struct:
    columns = []
    for _, metadata in chunks:
        chunk = _chunk(metadata)
        shift = moved[chunk] - chunk.first
        kept: Struct = {number: metadata[number] for number in _KEPT_OF_COLUMN if number in metadata}
        for number in (_DATA_PAGE, _DICTIONARY_PAGE):
            if number in kept and kept[number].value > 0:
                kept[number] = Field(Kind.I64, kept[number].value + shift)
            else:
                kept.pop(number, None)
        columns.append({_CHUNK_OFFSET: Field(Kind.I64, moved[chunk]), _METADATA: Field(Kind.STRUCT, kept)})
    copy: Struct = {number: group[number] for number in (_GROUP_ROWS, _ORDINAL) if number in group}
    copy[_COLUMNS] = Field(Kind.LIST, Items(Kind.STRUCT, columns))
    copy[_GROUP_BYTES] = Field(Kind.I64, sum(metadata[_UNCOMPRESSED].value for _, metadata in chunks))
    copy[_GROUP_COMPRESSED] = Field(Kind.I64, sum(metadata[_COMPRESSED].value for _, metadata in chunks))
    copy[_GROUP_OFFSET] = Field(Kind.I64, min((moved[_chunk(each)] for _, each in chunks), default=len(MAGIC)))
    return copy


def _wanted_schema(
    elements: Iterator[Struct], wanted: Container[Column], above: tuple[str, ...], *, is_root: bool = True
) -> Iterator[Struct]:
    """The next element of the schema and what is below it, as far as it leads to a wanted leaf."""
    element = next(elements)
    path = above if is_root else (*above, element[_NAME].value.decode())
    if _CHILDREN not in element or not element[_CHILDREN].value:
        if _column(path) in wanted:
            yield element
        return
    below = [list(_wanted_schema(elements, wanted, path, is_root=False)) for _ in range(element[_CHILDREN].value)]
    kept = [each for each in below if each]
    if kept or is_root:
        yield element | {_CHILDREN: Field(Kind.I32, len(kept))}
        for each in kept:
            yield from each


def ranges(chunks: Sequence[Chunk]) -> Iterator[Range]:
    """What to fetch for `chunks`, which are in the order of the file: near ones at once, a large one in pieces."""
    waiting: list[Chunk] = []
    for chunk in chunks:
        for piece in _pieces(chunk):
            if waiting and not _fits(waiting, piece):
                yield _range(waiting)
                waiting = []
            waiting.append(piece)
    if waiting:
        yield _range(waiting)


def _pieces(chunk: Chunk) -> Iterator[Chunk]:
    for first in range(chunk.first, chunk.first + chunk.size_bytes, LARGEST_RANGE_BYTES):
        yield Chunk(first, min(LARGEST_RANGE_BYTES, chunk.first + chunk.size_bytes - first))


def _fits(waiting: Sequence[Chunk], piece: Chunk) -> bool:
    end = waiting[-1].first + waiting[-1].size_bytes
    whole_bytes = piece.first + piece.size_bytes - waiting[0].first
    return piece.first - end <= WORTH_A_REQUEST_BYTES and whole_bytes <= LARGEST_RANGE_BYTES


def _range(pieces: Sequence[Chunk]) -> Range:
    first, last = pieces[0].first, pieces[-1]
    kept = tuple((piece.first - first, piece.size_bytes) for piece in pieces)
    return Range(first, last.first + last.size_bytes - first, kept)
