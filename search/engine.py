"""The facade: open an index, ask it, one method a verb."""

from collections.abc import Sequence
from pathlib import Path

from encoders.contracts import Modality
from encoders.registry import open_space
from encoders.space import Space
from indexer.index import Index
from search.catalogue import Catalogue
from search.encoding import encode_query
from search.filters import Exclude
from search.hits import GroupBy
from search.query import Query
from search.result import SearchResult
from search.retrieval import Request, retrieve


class Engine:
    """Answers questions from one index. Opened by `Engine.open`; reads only, so many may share an index."""

    def __init__(self, index: Index, space: Space) -> None:
        self.index = index
        self.space = space
        self.catalogue = Catalogue(index)

    @classmethod
    def open(cls, uri: str | Path, *, space: Space | str | Path | None = None, device: str = "cpu") -> "Engine":
        """Open an index and the space it lives in.

        Parameters
        ----------
        uri : str or Path
            Folder or object-store URI of the index.
        space : Space, str or Path, optional
            An opened space, or the name or folder of one; by default the one named in the index's card.
        device : str
            Where image encoders run.

        Raises
        ------
        IndexMissingError
            If there is no index.
        SpaceMismatchError
            If the index was built in another space or revision.
        """
        index = Index.open(uri)
        opened = space if isinstance(space, Space) else open_space(space or index.card.space.name, device=device)
        index.check_space(opened.card)
        return cls(index, opened)

    def search(
        self,
        query: Query,
        *,
        target: Modality = "expression",
        kind: str | Sequence[str] | None = None,
        k: int = 10,
        where: str | None = None,
        exclude: Exclude = "auto",
        group_by: GroupBy | None = None,
    ) -> SearchResult:
        """Find the items most like a query.

        Parameters
        ----------
        query : Query
            An item, a slide, genes, a sentence, pixels or a profile.
        target : {"expression", "image"}
            The side of the items to compare with.
        kind : str or sequence of str, optional
            Kinds that may answer; by default tiles and spots for images, spots, cells and transcriptomes for
            expression, slides for a slide query.
        k : int
            Hits wanted; all there are if there are fewer, with a note.
        where : str, optional
            SQL condition over the columns of an item, such as `organ = 'breast' and total_counts > 500`.
        exclude : {"auto", "none", "slide", "patient"}
            `auto` leaves out the query's own slide, and a slide query's own patient.
        group_by : {"slide", "patient"}, optional
            Keep only the best hit of each.

        Returns
        -------
        SearchResult
            Best hit first; deterministic, ties in the order of the index.

        Raises
        ------
        QueryError
            For a bad k, kind, target or query; `FilterError` for a bad `where`; `ItemMissingError` for an unknown id.
        GeneQueryError
            If no gene of the query is known.
        """
        encoded = encode_query(query, self.catalogue, lambda: self.space)
        request = Request(target=target, kind=kind, k=k, where=where, exclude=exclude, group_by=group_by)
        return retrieve(self.catalogue, encoded, request, self.space.card.calibration).result
