"""How much one request may ask, and who may ask."""

from dataclasses import dataclass, field
from pathlib import Path

from app.api.keys import KeyRing
from app.cell_types import ReferenceFile

#: The most that a request may name; they are part of the published schema.
MAX_K = 1_000
MAX_OFFSET = 10_000
MAX_TEXT = 4_000
MAX_WHERE = 1_000
MAX_GENES = 20_000
MAX_DIM = 16_384
MAX_POINTS = 10_000
MAX_PARTS = 50
MAX_BASE64 = 4 * 1024 * 1024
MAX_PAGE = 1_000

#: Names by which a server on the loopback address may be called; any other may be a page that was led here by its DNS.
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one server.

    Attributes
    ----------
    body_bytes : int
        Largest form, counted as it comes in.
    json_bytes : int
        Largest other body, which takes many times its size once it is read.
    body_seconds : float
        Longest time a body may take to come in.
    answer_seconds : float
        Longest time an answer may take, waiting included.
    workers : int
        Questions worked on at once.
    waiting : int
        Questions that may wait for a worker; one more is refused.
    rate : float
        Requests a second that one caller may make on average; 0 for any number.
    burst : int
        Requests a caller may make at once after a pause.
    """

    body_bytes: int = 20 * 1024 * 1024
    json_bytes: int = 4 * 1024 * 1024
    body_seconds: float = 30.0
    answer_seconds: float = 60.0
    workers: int = 4
    waiting: int = 64
    rate: float = 50.0
    burst: int = 100


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What a server was started with; nothing of it can be changed by a request.

    Attributes
    ----------
    db : str
        Folder or address of the index.
    keys : KeyRing
        Keys of callers; none for a server that only this machine reaches.
    reference : ReferenceFile, optional
        Labelled cells for `decompose`; by default those of the index.
    hosts : tuple of str
        Names the server answers to; empty for any.
    allow_origins : tuple of str
        Web pages that may read answers; by default none.
    audit_log : Path, optional
        File that every question is noted in.
    limits : Limits
        Bounds.
    """

    db: str
    keys: KeyRing = field(default_factory=KeyRing)
    reference: ReferenceFile | None = None
    hosts: tuple[str, ...] = LOOPBACK_HOSTS
    allow_origins: tuple[str, ...] = ()
    audit_log: Path | None = None
    limits: Limits = Limits()
