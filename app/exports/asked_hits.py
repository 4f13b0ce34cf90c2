"""Hits with what is needed to write them down: the engine that found them and the picture they were asked with."""

from dataclasses import dataclass

from app.figures.gallery import Gallery
from app.figures.pictures import hit_pictures, query_picture
from app.tables.hits import provenance, said
from search.engine import Engine
from search.query import Query
from search.result import SearchResult

#: Pictures of a gallery that is written to a file.
MOST_PICTURES = 60


@dataclass(frozen=True, slots=True)
class AskedHits:
    """Hits, and how they were asked for.

    Attributes
    ----------
    engine : Engine
        That found them.
    result : SearchResult
        The hits.
    title : str
        The question in a line.
    query : Query
        What was asked.
    """

    engine: Engine
    result: SearchResult
    title: str
    query: Query

    @property
    def provenance(self) -> str:
        """Licences of the data, and the space."""
        return provenance(self.result.table.to_pylist(), space=self.engine.space.card)

    @property
    def gallery(self) -> Gallery:
        """The hits as pictures, the first `MOST_PICTURES`."""
        pictures = hit_pictures(self.engine, self.result, at_most=MOST_PICTURES)
        return Gallery(
            self.title, " ".join(said(self.result)), query_picture(self.engine, self.query), pictures, self.provenance
        )
