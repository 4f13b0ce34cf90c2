"""The facade: open an index, ask it, one method a verb."""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from encoders.contracts import Modality
from encoders.space import Space
from indexer.access import Access, EngineName, SearchDevice
from indexer.index import Index
from search.batch import BatchResult, answer_all
from search.catalogue import Catalogue
from search.cohorts import By, Cohorts, cohorts_of, default_k, eligible_again
from search.composition import Composition, Manner, Source, decompose_counts, decompose_hits, own_profile
from search.filters import Exclude, scope_of
from search.hits import GroupBy
from search.prediction import PREDICTION_K, Mode, Prediction, predict
from search.query import Query, SlideQuery
from search.reference import CellReference
from search.result import SearchResult
from search.retrieval import More, Request
from search.similarity import SimilarityMap, shared_side, similarity_map
from search.slide_matching import Match
from search.slide_parts import AskedSlide, SlideParts, ordered_by_parts, slide_parts
from search.standouts import StandoutGene, standout_genes
from search.state import State, space_for


class Engine:
    """Answers questions from one index. Opened by `Engine.open`; reads only, so many may share an index."""

    def __init__(self, index: Index, space: Space) -> None:
        self.space = space
        self._state = State(index, lambda: self.space)

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
        index = Index.open(self.index.location, access=self.index.access)
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
            `per_group`, `min_score`, `max_score`, `offset`, `exact`, `explain`; see `search.retrieval.More`.

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
        return state.retrieve(state.encode(query), request).result

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

        def ask(i: int) -> SearchResult:
            return self.search(queries[i], target=target, kind=kind, k=k, where=where, exclude=exclude, **more)

        return answer_all(ask, len(queries))

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
        `match` says how their parts meet (`search.slide_matching.match_slides`).
        Other arguments, result and errors as in `search`.
        """
        state = self._current()
        side = using or shared_side(state.catalogue, slide)
        request = Request(target=side, kind="slide", k=k, where=where, exclude=exclude)
        found = state.retrieve(state.encode(SlideQuery(slide, side)), request)
        return ordered_by_parts(found, state.catalogue, state.parts, AskedSlide(slide, side, match), k=k)

    def slide_parts(
        self, slide: str, other: str, *, using: Modality | None = None, match: Match = "transport"
    ) -> SlideParts:
        """Tell which part of a slide matched which part of another, each with the item that shows it.

        Parameters
        ----------
        slide, other : str
            Names of slides of an index made with prototypes.
        using : {"image", "expression"}, optional
            The side; by default as in `similar_slides`.
        match : {"transport", "best"}
            How parts meet; see `search.slide_matching.match_slides`.

        Raises
        ------
        ItemMissingError
            If one of them is not in the index.
        QueryError
            If the index keeps no parts of that side.
        """
        state = self._current()
        state.catalogue.slide_row(other)
        side = using or shared_side(state.catalogue, slide)
        return slide_parts(state.parts, AskedSlide(slide, side, match), other)

    def similarity_map(self, query: Query, slide: str, *, target: Modality | None = None) -> SimilarityMap:
        """Score every tile and spot of a slide against a query, for a map.

        Parameters
        ----------
        query : Query
            As in `search`; nothing is left out, also if it comes from this slide.
        target : {"image", "expression"}, optional
            The side of its tiles and spots; by default their image where the slide has one.

        Raises
        ------
        ItemMissingError
            If the slide is not in the index.
        QueryError
            If it has no place with a vector of that side.
        """
        state = self._current()
        return similarity_map(state.catalogue, state.encode(query), slide, target)

    def cohorts(
        self,
        query: Query | SearchResult,
        *,
        by: By = "cohort",
        k: int | None = None,
        target: Modality = "expression",
        kind: str | Sequence[str] | None = None,
        where: str | None = None,
        exclude: Exclude = "auto",
    ) -> Cohorts:
        """Tell which cohorts, organs, diagnoses, patients or labels a query sits nearest to, with patient-level tests.

        Parameters
        ----------
        query : Query or SearchResult
            A query, or hits found before, of which all are counted; the other arguments but `by` are then not read.
        by : {"cohort", "organ", "diagnosis", "patient", "label", "technology"}
            Column to group by.
        k : int, optional
            Hits to count; by default 100, and at most a quarter of the items that may answer.
        exclude : {"auto", "none", "slide", "patient"}
            `auto` leaves out the query's own patient here, whose other slides would say nothing new.
        target, kind, where
            As in `search`.

        Returns
        -------
        Cohorts
            See `search.cohorts.cohorts_of` for the tests.
        """
        state = self._current()
        if isinstance(query, SearchResult):
            rows = state.catalogue.rows_of(query.table.column("id").to_pylist())
            eligible = eligible_again(state.catalogue, query)
            return cohorts_of(state.catalogue, rows, eligible, by, query=query.query)
        encoded = state.encode(query)
        if exclude == "auto" and encoded.patient is not None:
            exclude = "patient"
        if k is None:
            scope = scope_of(state.catalogue, encoded, target, kind=kind, where=where, exclude=exclude)
            k = default_k(int(scope.mask.sum()))
        request = Request(target=target, kind=kind, k=k, where=where, exclude=exclude)
        found = state.retrieve(encoded, request)
        rows = found.scored.rows[: request.k]
        result, scope = found.result, found.scope
        return cohorts_of(state.catalogue, rows, scope.mask, by, query=result.query, notes=scope.notes)

    def predict_expression(
        self,
        query: Query,
        *,
        genes: Sequence[str] | None = None,
        n_genes: int = 50,
        k: int = PREDICTION_K,
        mode: Mode = "softmax",
        where: str | None = None,
        exclude: Exclude = "auto",
    ) -> Prediction:
        """Predict expression from the measured profiles of the most similar spots, cells and transcriptomes.

        Parameters
        ----------
        query : Query
            As in `search`; its own slide (a slide's own patient) is left out.
        genes : sequence of str, optional
            Symbols of the panel; by default the `n_genes` predicted furthest above their mean over the index.
        n_genes : int
            Genes shown when none are named.
        k : int
            Neighbours averaged in mode `softmax`. On her2st (other patients' spots -> B4, C4) 500 predict better than
            50 and than the plain mean of 50: mean Pearson over the 50 most variable genes .12 against .10 and .11 on
            B4, .36 against .32 and .32 on C4.
        mode : {"softmax", "mean50", "raw"}
            How they are weighted; see `search.prediction.neighbourhood`.
        where, exclude
            As in `search`.

        Raises
        ------
        QueryError
            If no item with counts is left, no gene is in the panel, or the mode is not known.
        """
        state = self._current()
        encoded = state.encode(query)
        near = state.with_counts(encoded, k=k, where=where, exclude=exclude)
        background = state.mean_log_expression
        return predict(state.catalogue, encoded, near, background, genes=genes, n_genes=n_genes, k=k, mode=mode)

    def decompose(
        self,
        query: Query,
        reference: CellReference,
        *,
        source: Source = "auto",
        manner: Manner | None = None,
        k: int = 50,
        where: str | None = None,
        exclude: Exclude = "auto",
    ) -> Composition:
        """Tell the cell types of a query, from its own counts or from those of its hits.

        Parameters
        ----------
        query : Query
            As in `search`.
        reference : CellReference
            Cell types, from `reference_from_h5ad` or `reference_from_counts`.
        source : {"auto", "counts", "hits"}
            `auto` takes the query's own counts where it has some, unless it asks with its image.
        manner : Manner, optional
            Genes to decompose on, how they are weighted, and what the proportions are shares of.
        k : int
            Hits averaged, weighted as in `predict_expression`.
        where, exclude
            As in `search`; for hits only.

        Raises
        ------
        CellReferenceError
            If reference and counts share no gene.
        QueryError
            If the query has no counts to decompose, or no hit has.
        """
        state, manner = self._current(), manner or Manner()
        profile = None if source == "hits" else own_profile(state.catalogue, query, forced=source == "counts")
        if profile is not None:
            return decompose_counts(state.catalogue, profile, reference, manner)
        near = state.with_counts(state.encode(query), k=k, where=where, exclude=exclude)
        return decompose_hits(state.catalogue, near, reference, k=k, manner=manner)

    def standout_genes(self, items: Sequence[str], *, n: int = 8) -> list[tuple[StandoutGene, ...]]:
        """Name the genes of each item furthest above their mean share over the slides of the index.

        An item without counts has no such gene. Raises `ItemMissingError` for an id that is not in the index.
        """
        state = self._current()
        return standout_genes(state.catalogue, state.catalogue.rows_of(items), state.mean_share, n)

    def _current(self) -> State:
        """The last commit, for the whole of one answer: another thread may meanwhile take a newer one."""
        self.refresh()
        return self._state
