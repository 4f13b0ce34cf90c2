"""What an index says of a query besides its hits: one method an analysis, each on one committed state."""

from collections.abc import Sequence

from encoders.contracts import Modality
from search.annotation.annotate import Annotating, Annotation, annotate_items
from search.annotation.classes import Classes
from search.cells.cell_vectors import CellVectors
from search.cells.composition import Composition, decompose_counts, decompose_hits, own_profile
from search.cells.manner import Manner, Source
from search.cells.reference import CellReference
from search.cells.slide_composition import SlideComposition
from search.cells.slide_decomposition import decompose_slide
from search.cells.slide_places import SlideQuestion
from search.cells.voted_composition import decompose_by_votes
from search.explanation.explain import Explanation, explain
from search.expression.standouts import StandoutGene, standout_genes
from search.groups.cohorts import By, Cohorts, cohorts_of, default_k, eligible_again
from search.groups.mixing import Mixing, MixingQuestion, mixing_of
from search.predictions import Predictions
from search.query import Query
from search.result import SearchResult
from search.retrieval.filters import Exclude, scope_of
from search.retrieval.retrieve import Request
from search.retrieval.similarity import SimilarityMap, shared_side, similarity_map
from search.retrieval.slide_matching import Match
from search.retrieval.slide_parts import AskedSlide, SlideParts, slide_parts
from search.sections.alignment import Model
from search.sections.section_alignment import Sides, SlideAlignment, align_slides
from search.state import State


class Analyses(Predictions):
    """The analyses of an engine, which says on which state they run."""

    def _current(self) -> State:
        raise NotImplementedError

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
            How parts meet; see `search.retrieval.slide_matching.match_slides`.

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
            See `search.groups.cohorts.cohorts_of` for the tests.
        """
        state = self._current()
        if isinstance(query, SearchResult):
            rows = state.catalogue.rows_of(query.table.column("id").to_pylist())
            eligible = eligible_again(state.catalogue, query)
            return cohorts_of(state.catalogue, rows, eligible, by, query=query.query)
        encoded = state.encode(query)
        if exclude == "auto" and encoded.patients:
            exclude = "patient"
        if k is None:
            scope = scope_of(state.catalogue, encoded, target, kind=kind, where=where, exclude=exclude)
            k = default_k(int(scope.mask.sum()))
        request = Request(target=target, kind=kind, k=k, where=where, exclude=exclude)
        found = state.retrieve(encoded, request)
        rows = found.scored.rows[: request.k]
        result, scope = found.result, found.scope
        return cohorts_of(state.catalogue, rows, scope.mask, by, query=result.query, notes=scope.notes)

    def mixing(self, question: MixingQuestion | None = None) -> Mixing:
        """Tell whether neighbours share a site (cohort, technology, patient) beyond what their labels explain.

        Raises
        ------
        QueryError
            If a column or kind is not known, or all items are of one site.
        """
        return mixing_of(self._current().catalogue, question or MixingQuestion())

    def decompose(
        self,
        query: Query,
        reference: CellReference | CellVectors,
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
        reference : CellReference or CellVectors
            Cell types, from `reference_from_h5ad`, `reference_from_table` or `reference_from_counts`; for the method
            `votes` cells, from `cell_vectors_of_index` or `cell_vectors_from_h5ad`.
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
        if isinstance(reference, CellVectors):
            return decompose_by_votes(state.encode(query), reference, manner)
        profile = None if source == "hits" else own_profile(state, query, reference.genes, forced=source == "counts")
        if profile is not None:
            return decompose_counts(state.catalogue, profile, reference, manner)
        near = state.with_counts(state.encode(query), k=k, where=where, exclude=exclude)
        return decompose_hits(state.catalogue, near, reference, k=k, manner=manner)

    def decompose_slide(
        self,
        slide: str,
        reference: CellReference | CellVectors,
        *,
        items: Sequence[str] | Query | None = None,
        source: Source = "auto",
        manner: Manner | None = None,
        k: int = 50,
        where: str | None = None,
        exclude: Exclude = "auto",
    ) -> SlideComposition:
        """Tell the cell types of every place of a slide, or of some of its items.

        Parameters
        ----------
        slide : str
            The slide.
        reference : CellReference or CellVectors
            As in `decompose`.
        items : sequence of str, RegionQuery or GroupQuery, optional
            Tiles, spots or cells of this slide; by default all.
        source : {"auto", "counts", "hits"}
            `auto` takes the counts of the places where the slide has some. Hits are found by the image where it has
            any.
        manner, k, where, exclude
            As in `decompose`; `auto` leaves out the slide.

        Returns
        -------
        SlideComposition
            Its `sd` comes from samples of the counts or of the hits, the weights of the fit held.

        Raises
        ------
        CellReferenceError, QueryError
            As in `decompose`; `ItemMissingError` if the slide or an item is not in the index.
        """
        question = SlideQuestion(slide, items, source, k, where, exclude)
        return decompose_slide(self._current(), question, reference, manner or Manner())

    def annotate(self, where: str | Sequence[str], classes: Classes, manner: Annotating | None = None) -> Annotation:
        """Give each tile or spot the class it is most like, or none.

        Each class's scores are put in standard deviations of what the items of other patients score on it; an item
        whose best class stands out no more than that of most of these is unassigned.

        Parameters
        ----------
        where : str or sequence of str
            A slide, or ids of items of any slides.
        classes : MarkerClasses or BulkClasses
            From `marker_set`, `read_markers`, `marker_classes` or `read_bulk` (`search.annotation`).
        manner : Annotating, optional
            What is compared and how; by default own counts where there are some, else the image.

        Raises
        ------
        AnnotationError
            If there are fewer than two classes, one of them has no known gene, or nothing is left to annotate.
        ItemMissingError
            If the slide or an item is not in the index.
        """
        state = self._current()
        return annotate_items(state.catalogue, state.space, where, classes, manner or Annotating())

    def standout_genes(self, items: Sequence[str], *, n: int = 8) -> list[tuple[StandoutGene, ...]]:
        """Name the genes of each item furthest above their mean share over the slides of the index.

        An item without counts has no such gene. Raises `ItemMissingError` for an id that is not in the index.
        """
        state = self._current()
        return standout_genes(state.catalogue, state.catalogue.rows_of(items), state.mean_share, n)

    def align(
        self, slide: str, other: str, *, using: Sides | None = None, model: Model = "warp", mirror: bool = False
    ) -> SlideAlignment:
        """Lay a slide over another one of the same tissue, by where its tiles and spots lie and what they are like.

        Parameters
        ----------
        slide, other : str
            The slide to move, and the one that stays.
        using : (str, str), optional
            Sides compared, `image` or `expression`, of the one and the other; by default the same side where both have
            one, the image first.
        model : {"rigid", "affine", "warp"}
            What the slide may do; see `search.sections.alignment.align_points`.
        mirror : bool
            Whether it may lie with its other side up.

        Raises
        ------
        AlignmentError
            If a slide has too few places, its scale is not known, or nothing is alike.
        ItemMissingError
            If one of them is not in the index.
        """
        state = self._current()
        return align_slides(state.catalogue, slide, other, using=using, model=model, mirror=mirror)

    def explain(self, query: Query, item: str, *, target: Modality | None = None, pictures: bool = True) -> Explanation:
        """Tell why an item is a hit of a query: genes, squares of the pictures, labelled examples, parts of slides.

        Parameters
        ----------
        query : Query
            As in `search`.
        item : str
            Id of the hit, or of any other item.
        target : {"image", "expression"}, optional
            Its side that is compared; by default the other one than the query's, where it has it.
        pictures : bool
            Whether to encode pictures again with each square painted over.

        Raises
        ------
        ItemMissingError
            If the item is not in the index.
        QueryError
            If it lacks that side.
        """
        return explain(self._current(), query, item, target, pictures=pictures)
