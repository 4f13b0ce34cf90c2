"""The facade: open an index, ask it, one method a verb."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Unpack

import numpy as np

from encoders.contracts import Modality
from encoders.space import Space
from indexer.access import Access, EngineName, SearchDevice
from indexer.index import Index
from search.analyses import Analyses
from search.batch import BatchResult, answer_many
from search.catalogue import Catalogue
from search.query import Query, SlideQuery
from search.result import SearchResult
from search.retrieval.filters import Exclude
from search.retrieval.hits import GroupBy
from search.retrieval.retrieve import More, Request
from search.retrieval.similarity import shared_side
from search.retrieval.slide_matching import Match
from search.retrieval.slide_null import SlidesAsked, with_p_values
from search.retrieval.slide_parts import AskedSlide, ordered_by_parts
from search.state import State, space_for


class Engine(Analyses):
    """Answers questions from one index. Opened by `Engine.open`; reads only, so many may share an index."""

    def __init__(self, index: Index, space: Space) -> None:
        self.space = space
        self._state = State(index, lambda: self.space)
        self._refreshing = Lock()

    @property
    def index(self) -> Index:
        """The index at the commit that was taken last."""
        return self._state.index

    @property
    def catalogue(self) -> Catalogue:
        """Its items."""
        return self._state.catalogue

    @classmethod
    def open(
        cls,
        uri: str | Path,
        *,
        space: Space | str | Path | None = None,
        device: str = "cpu",
        engine: EngineName = "auto",
        search_device: SearchDevice = "auto",
    ) -> "Engine":
        """Open an index and the space it lives in.

        Parameters
        ----------
        uri : str or Path
            Folder or object-store URI of the index.
        space : Space, str or Path, optional
            An opened space, or the name or folder of one; by default the one named in the index's card.
        device : str
            Where image encoders run.
        engine : {"auto", "faiss", "codes", "lance"}
            What searches the vectors, and how much of them is kept in memory; see `indexer.access.Access`.
        search_device : {"auto", "cpu", "cuda"}
            Where vectors are compared.

        Raises
        ------
        IndexMissingError
            If there is no index.
        SpaceMismatchError
            If the index was built in another space or revision.
        StoreError
            If there is no such engine or device; if the engine lacks something in this index, the first search says.
        """
        index = Index.open(uri, access=Access(engine, search_device))
        opened = space if isinstance(space, Space) else space_for(index, space, device)
        index.check_space(opened.card)
        return cls(index, opened)

    def refresh(self) -> bool:
        """Take the last commit of the index if there is a newer one; whether there was. Every verb does so first.

        Cheap when nothing has changed: the card's file is looked at, not read. Searches that run meanwhile end on the
        commit they began with. An engine of a past version stays on it.
        """
        if self.index.is_current():
            return False
        with self._refreshing:  # one thread reads a new commit, the others wait for it
            if self.index.is_current():
                return False
            index = self.index.reopened()
            index.check_space(self.space.card)
            self._state = State(index, lambda: self.space)
            return True

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
        **more: Unpack[More],
    ) -> SearchResult:
        """Find the items most like a query, in the last commit of the index.

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
            Keep only the best hits of each; `k` then counts groups.
        **more
            `per_group`, `min_score`, `max_score`, `offset`, `exact`, `explain`; see `search.retrieval.retrieve.More`.

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
        state = self._current()
        request = Request(target=target, kind=kind, k=k, where=where, exclude=exclude, group_by=group_by, **more)
        return state.search(state.encode(query), request)

    def search_many(
        self,
        queries: Sequence[Query],
        *,
        target: Modality = "expression",
        kind: str | Sequence[str] | None = None,
        k: int = 10,
        where: str | None = None,
        exclude: Exclude = "auto",
        **more: Unpack[More],
    ) -> BatchResult:
        """Find the items most like each of many queries, on all cores.

        Parameters
        ----------
        queries : sequence of Query
            At least one.
        target, kind, k, where, exclude, **more
            As in `search`, the same for all.

        Returns
        -------
        BatchResult
            One table with the place of the query of each hit, and each answer by itself; the same as from `search`.

        Raises
        ------
        QueryError
            As in `search`, or if there is no query.
        """
        request = Request(target=target, kind=kind, k=k, where=where, exclude=exclude, **more)
        return answer_many(self._current(), queries, request)

    def similar_slides(
        self,
        slide: str,
        *,
        k: int = 10,
        using: Modality | None = None,
        where: str | None = None,
        exclude: Exclude = "auto",
        match: Match = "transport",
    ) -> SearchResult:
        """Find the slides most like a slide, its own patient left out.

        Slides are compared on one side, by default the one that most other slides share with it (image if equal): by
        their means, or by what the index keeps of them besides (`--aggregator`), among the 200 nearest by their means;
        `match` says how their parts meet (`search.retrieval.slide_matching.match_slides`).
        Other arguments, result and errors as in `search`.
        """
        state = self._current()
        side = using or shared_side(state.catalogue, slide)
        request = Request(target=side, kind="slide", k=k, where=where, exclude=exclude)
        found = state.retrieve(state.encode(SlideQuery(slide, side)), request)
        result = ordered_by_parts(found, state.catalogue, state.parts, AskedSlide(slide, side, match), k=k)
        scores = np.asarray(result.columns["score"], dtype=np.float32)
        return with_p_values(result, state.slide_nulls, state.catalogue, SlidesAsked(slide, side, side, scores))

    def _current(self) -> State:
        """The last commit, for the whole of one answer: another thread may meanwhile take a newer one."""
        self.refresh()
        return self._state
