"""Errors of asking; the whole tree is drawn in `encoders.errors`."""

from encoders.errors import HistoSeekError


class QueryError(HistoSeekError):
    """The question cannot be answered as put."""


class FilterError(QueryError):
    """A `where` text does not parse, or names a column the index does not have."""


class ItemMissingError(QueryError):
    """No item or slide of that id is in the index."""


class CellReferenceError(QueryError):
    """A cell-type reference cannot be used: no labels, no shared genes, a type without cells."""


class NothingToMeasureError(QueryError):
    """A part of an evaluation has no data in this index; it is left out and the reason is said."""


class AlignmentError(QueryError):
    """Two sections cannot be laid over each other: too few items, or nothing alike."""


class AnnotationError(QueryError):
    """Classes cannot be told apart: too few of them, no gene that is known, or a file that holds none."""
