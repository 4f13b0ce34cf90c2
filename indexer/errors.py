"""Errors of reading and storing; the whole tree is drawn in `encoders.errors`."""

from encoders.errors import HistoSeekError


class DataError(HistoSeekError):
    """Something outside the index is wrong: a manifest, a download, a slide, a counts table."""


class ManifestError(DataError):
    """`data_manifest.yaml` does not say what it must: unknown key, bad digest, missing file entry."""


class FetchError(DataError):
    """A file could not be had from the mirror or from upstream, or its digest is wrong."""


class UnreachableError(FetchError):
    """A file is in neither mirror nor cache, and upstream did not give it."""


class RefusedError(FetchError):
    """A server answered that it will not give what was asked.

    Attributes
    ----------
    status : int
        Of HTTP.
    code : str
        The server's own word, such as `GatedRepo`; empty if it has none.
    """

    def __init__(self, message: str, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class SlideError(DataError):
    """A slide's image is missing, corrupt, or without a usable mpp."""


class ReaderDiedError(SlideError):
    """The process that read a slide died of it: a codec crashed, or there was no memory left."""


class SlideFailedError(DataError):
    """A slide failed in a run that was told to end then."""


class CountsError(DataError):
    """A counts table is malformed: not numeric, negative, NaN, or without genes."""


class JoinError(DataError):
    """Counts, positions and image of one slide do not fit together."""


class FeaturesError(DataError):
    """A file of features made elsewhere is damaged, lacks a part, or its parts do not fit together."""


class RegionError(DataError):
    """Regions drawn on a slide cannot be read, or do not lie on it."""


class StoreError(HistoSeekError):
    """Something inside the index is wrong."""


class IndexMissingError(StoreError):
    """There is no index at that place."""


class IndexFormatError(StoreError):
    """The index is half-written, of another format version, or damaged."""


class CardLostError(IndexFormatError):
    """The card is missing or damaged, but the tables are there: the next build makes it again."""


class SidecarError(StoreError):
    """The derived vector index does not match the table it was derived from."""


class WriteError(StoreError):
    """A write could not be finished (no space, no permission, a second writer); nothing was changed."""


class VersionError(StoreError):
    """There is no such version or tag of the index, or a name cannot be given."""


class WhereError(StoreError):
    """A `where` text does not parse or names a column the tables do not have."""
