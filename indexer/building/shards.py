"""Parts of the slides, for runs that share the work."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from indexer.errors import DataError
from indexer.slides import SlideFacts, SlideSource

#: Where sources keep facts that are known before a file is opened.
_GIVEN = ("given_facts", "manifest_facts")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `n` parts of the slides, numbered from 1: each slide is in one of them, on every machine the same.

    Raises `DataError` unless `1 <= number <= n`.
    """

    number: int
    n: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 1 <= self.number <= self.n:
            raise DataError(f"There is no shard {self.number}/{self.n}; expected I/N with I from 1 to N, such as 2/8.")

    def __str__(self) -> str:
        """As it is given: `2/8`."""
        return f"{self.number}/{self.n}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Shard of a text such as `2/8`. Raises `DataError`."""
        number, slash, n = text.partition("/")
        if not (slash and number.isdecimal() and n.isdecimal()):
            raise DataError(f"Shard {text!r} is not of the form I/N; expected the number of the part, such as 2/8.")
        return cls(int(number), int(n))

    def holds(self, slide: str) -> bool:
        """Whether the slide is in this part: by the SHA-256 of its name."""
        return int.from_bytes(hashlib.sha256(slide.encode()).digest()[:8], "big") % self.n == self.number - 1

    def take(self, sources: Iterable[SlideSource]) -> list[SlideSource]:
        """The sources of this part, in their order."""
        return [source for source in sources if self.holds(name_of(source))]


def name_of(source: SlideSource) -> str:
    """Name of a slide, for which no file of it is opened."""
    base: SlideSource | None = getattr(source, "base", None)
    if base is not None:
        return name_of(base)
    for attribute in _GIVEN:
        facts: SlideFacts | None = getattr(source, attribute, None)
        if facts is not None:
            return facts.slide
    return source.facts.slide
