"""Sentences that many columns of a table share, stated once and referred to by number."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FEWEST_COLUMNS: Final = 3
"""With fewer of them a sentence stands at each."""
SHORTEST: Final = 36
"""Letters; what is shorter than that is read faster than its number is followed."""
_BETWEEN: Final = re.compile(r"(?<=\.)\s+(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Notes:
    """The shared sentences, number 1 first."""

    sentences: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Notes":
        """Those of the `texts`, in the order in which they appear first."""
        counts = Counter(sentence for text in texts for sentence in _BETWEEN.split(text) if len(sentence) >= SHORTEST)
        return cls(tuple(sentence for sentence, count in counts.items() if count >= FEWEST_COLUMNS))

    def without(self, text: str) -> tuple[str, list[int]]:
        """What `text` says beyond the shared sentences, and the numbers of those that it has."""
        own, numbers = [], []
        for sentence in _BETWEEN.split(text):
            if sentence in self.sentences:
                numbers.append(self.sentences.index(sentence) + 1)
            else:
                own.append(sentence)
        return " ".join(own), numbers
