"""Names that say who somebody is: told, and replaced by keyed hashes where that is asked for.

HMAC-SHA256 (RFC 2104) of a name under a secret salt is the same in every run with that salt, so that patients stay
together, and says nothing without it. The salt lies in a file of the user's, never in the index.
"""

import dataclasses
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from indexer.errors import DataError
from indexer.slides import SlideFacts, SlideSource

_SALT_BYTES = 32
_HASH_LENGTH = 16  # hexadecimal digits: 64 bits, of which two names of a million collide once in 40 million cases
_DATE = r"(?:19|20)\d{2}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
_EUROPEAN_DATE = r"(?:0[1-9]|[12]\d|3[01])[-_.](?:0[1-9]|1[0-2])[-_.](?:19|20)?\d{2}"
#: What names look like that hospitals and scanners give. Barcodes of public collections are none of these.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a medical record number", re.compile(r"(?<![a-z])(?:mrn|pid|patid|hosp)[-_ #:]*\d{4,}", re.IGNORECASE)),
    ("a date, as of birth or of a scan", re.compile(rf"(?<!\d)(?:{_DATE}|{_EUROPEAN_DATE})(?!\d)")),
    (
        "an accession number of pathology",
        re.compile(r"(?<![a-z0-9])(?:s|sp|h|hs|b|c|ss|su|ps)[-_ ]?\d{2}[-_ ]\d{3,7}(?!\d)", re.IGNORECASE),
    ),
    ("a long number, as of a record", re.compile(r"(?<![\da-z.])\d{7,10}(?!\d)", re.IGNORECASE)),
    ("a social security number", re.compile(r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)")),
)
_PUBLIC = re.compile(r"(tcga|gtex|tenx|hest|gsm|gse|spa|mend|ncbi|zen|int|misc|cptac|c3[ln])[-_]?\w", re.IGNORECASE)
_N_EXAMPLES = 3


def identifying(names: Iterable[str]) -> list[str]:
    """Sentences about names that look as if they said who somebody is; empty if none does."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        if _PUBLIC.match(name):
            continue
        kind = next((kind for kind, pattern in _PATTERNS if pattern.search(name)), None)
        if kind is not None:
            found.setdefault(kind, []).append(name)
    return [f"{_some(some)} look like {kind}" for kind, some in found.items()]


def read_salt(path: Path, index: str) -> bytes:
    """The salt in a file, which is made with a random one if there is none.

    Raises
    ------
    DataError
        If it cannot be read or made, is too short to be a secret, or would lie in the index it protects.
    """
    if path.resolve().is_relative_to(Path(index).resolve()):
        raise DataError(f"The salt {path} would lie in the index {index}, which it protects. Put it elsewhere.")
    try:
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(_SALT_BYTES) + "\n")
        salt = path.read_bytes().strip()
    except OSError as error:
        raise DataError(f"The salt {path} cannot be read or made: {error}. Give a file you may write.") from error
    if len(salt) < _SALT_BYTES:
        raise DataError(
            f"The salt in {path} has {len(salt)} bytes; expected at least {_SALT_BYTES} random ones, else names can be "
            "guessed. Give a file that is not there yet: it is made."
        )
    return salt


class NameHasher:
    """Replaces slide and patient names by keyed hashes, in facts and in sentences.

    Parameters
    ----------
    salt : bytes
        The secret, at least 32 bytes.
    """

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._known: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None

    def name(self, name: str, *, kind: str) -> str:
        """Hash of a name, such as `slide-5f0c...`; a slide and a patient of the same name get different ones."""
        digest = hmac.new(self._salt, f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()[:_HASH_LENGTH]
        return f"{kind}-{digest}"

    def facts(self, facts: SlideFacts) -> SlideFacts:
        """Facts with both names replaced."""
        slide, patient = self.name(facts.slide, kind="slide"), self.name(facts.patient, kind="patient")
        self._remember({facts.slide: slide, facts.patient: patient})
        return dataclasses.replace(facts, slide=slide, patient=patient)

    def source(self, source: SlideSource) -> SlideSource:
        """The same slide under its hashed name; what it says of its files is redacted by `sentence`.

        Raises
        ------
        DataError
            If its reader takes its names from the inside of a file, as bulk tables do.
        """
        hidden = self._hidden(source)
        for path in source.files:
            self._remember({path.name: self.name(path.name, kind="file"), str(path): self.name(str(path), kind="file")})
            stem = path.name.partition(".")[0]
            self._remember({stem: self.name(stem, kind="file")} if stem not in self._known else {})
        return hidden

    def sentence(self, text: str) -> str:
        """A sentence with all names that were replaced, and paths, replaced."""
        if self._pattern is None:
            names = sorted((re.escape(name) for name in self._known if name), key=len, reverse=True)
            # A name of one letter is one only where it stands alone.
            self._pattern = re.compile(rf"(?<![^\W_])(?:{'|'.join(names) or '(?!)'})(?![^\W_])")
        return self._pattern.sub(lambda match: self._known[match.group()], text)

    def _remember(self, known: dict[str, str]) -> None:
        self._known |= known
        self._pattern = None

    def _hidden(self, source: SlideSource) -> SlideSource:
        known: Any = source
        fields = (
            {}
            if not dataclasses.is_dataclass(known)
            else {field.name: getattr(known, field.name) for field in dataclasses.fields(known) if field.init}
        )
        changed: dict[str, object] = {
            name: self.facts(value) for name, value in fields.items() if isinstance(value, SlideFacts)
        }
        if "name_in_file" in fields:  # by which the reader finds its row
            changed["name_in_file"] = fields["name_in_file"] or known.facts.slide
        if not changed and "base" in fields:
            changed = {"base": self._hidden(fields["base"])}
        if not changed:
            raise DataError(f"Names of {type(source).__name__} cannot be hashed: its reader keeps none. Name it anew.")
        hidden: SlideSource = dataclasses.replace(known, **changed)
        return hidden


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:_N_EXAMPLES]))
    return shown if len(names) <= _N_EXAMPLES else f"{shown} and {len(names) - _N_EXAMPLES} more"
