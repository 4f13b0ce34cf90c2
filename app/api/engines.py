"""The engine behind the routes: opened once, made warm, and shared by all threads."""

from collections.abc import Callable
from threading import Lock

from app.cell_types import ReferenceFile, reference_of_index
from encoders.contracts import Modality
from search.catalogue import Catalogue
from search.cells.reference import CellReference
from search.engine import Engine
from search.query import ItemQuery


class EngineHolder:
    """Opens the engine at the first question, or before, and keeps the cell types beside it.

    Parameters
    ----------
    open_engine : callable
        Gives the engine; raises a `HistoSeekError` if it cannot.
    reference : ReferenceFile, optional
        Labelled cells; by default those of the index.
    """

    def __init__(self, open_engine: Callable[[], Engine], reference: ReferenceFile | None = None) -> None:
        self._open = open_engine
        self._file = reference
        self._engine: Engine | None = None
        self._cells: tuple[Catalogue | None, CellReference] | None = None
        self._lock = Lock()

    @property
    def opened(self) -> Engine | None:
        """The engine, if it is open."""
        return self._engine

    def engine(self) -> Engine:
        """The engine, opened by the first who asks. Raises `HistoSeekError`."""
        if self._engine is None:
            with self._lock:
                if self._engine is None:
                    self._engine = self._open()
        return self._engine

    def cell_types(self) -> CellReference:
        """Cell types to decompose into; those of the index are averaged anew after a commit.

        Raises
        ------
        CellReferenceError
            If there are no labelled cells.
        """
        engine = self.engine()
        with self._lock:
            of = None if self._file else engine.catalogue
            if self._cells is None or self._cells[0] is not of:
                self._cells = (of, self._file.read() if self._file else reference_of_index(engine))
            return self._cells[1]


def warm(engine: Engine) -> None:
    """Read what every question needs, so that the first who asks does not wait for it."""
    catalogue = engine.catalogue
    sides: tuple[Modality, ...] = ("image", "expression")
    for side in sides:
        there = catalogue.has(side)
        if there.any():  # a first search opens the lists that all others use
            item = str(catalogue.value(int(there.argmax()), "id"))
            engine.search(ItemQuery(item, side), target=side, k=1)
    for column in ("kind", "slide", "patient"):
        catalogue.codes(column)
