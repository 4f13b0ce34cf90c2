"""Queries to vectors: what is stored is taken from the index, what is not is encoded by its space."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from encoders.contracts import ExpressionEncoding, GeneReport, Modality, PatchSpec, SectionStats, Vectors, unit_rows
from encoders.gene_lists import WeightedGenes
from encoders.sentences import GeneSentence
from encoders.space import Space
from search.catalogue import Catalogue
from search.errors import QueryError
from search.gene_names import GeneNames, NamesRead, names_of
from search.query import (
    GenesQuery,
    ItemQuery,
    PatchQuery,
    ProfileQuery,
    SentenceQuery,
    SimpleQuery,
    SlideQuery,
    VectorQuery,
)

_ROUNDING = 1e-7  # of a length of 1 in float32
_SHORT_SIDE = 0.98  # a patch may lack 2 % of its side to rounding


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A query as a unit vector, with where it comes from.

    Attributes
    ----------
    vector : float32 (dim,)
        Unit vector.
    modality : {"image", "expression"}
        The side it was computed from.
    null : str
        First half of the key of its null distribution in the card: the modality, `genes`, `sentence` or `slide`.
    description : dict
        JSON-ready form of the query.
    slides, patients : tuple of str
        Where it was cut from, to be left out of the hits.
    rows : tuple of int
        Rows of the items of the index that it is made of.
    whole_slide : bool
        Whether it stands for a slide.
    genes : GeneReport or None
        Genes of a gene query.
    notes : tuple of str
        Sentences the user should read.
    """

    vector: Vectors
    modality: Modality
    null: str
    description: dict[str, Any]
    slides: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    whole_slide: bool = False
    genes: GeneReport | None = None
    notes: tuple[str, ...] = ()

    @property
    def patient(self) -> str | None:
        """The one patient it was cut from, if it is one."""
        return self.patients[0] if len(self.patients) == 1 else None

    @property
    def row(self) -> int | None:
        """The one item of the index that it is, if it is one."""
        return self.rows[0] if len(self.rows) == 1 else None


def encode_query(query: SimpleQuery, catalogue: Catalogue, space: Callable[[], Space]) -> EncodedQuery:
    """Turn a query into a unit vector; for those made of several see `search.composing.encoding`.

    Parameters
    ----------
    query : SimpleQuery
        What was asked.
    catalogue : Catalogue
        Items of the index.
    space : callable
        Opens the space; called only for queries that are not in the index, so that these alone need its weights.

    Raises
    ------
    ItemMissingError
        If the item or slide is not in the index.
    QueryError
        If the item lacks that side, or the pixels cannot be encoded.
    GeneQueryError
        If no gene of the query is known.
    """
    match query:
        case ItemQuery():
            return _stored(catalogue, catalogue.row_of(query.id), query)
        case SlideQuery():
            return _stored(catalogue, catalogue.slide_row(query.slide), query)
        case PatchQuery():
            return _from_patch(query, catalogue, space())
        case VectorQuery():
            return _from_vector(query, catalogue)
        case _:
            return _from_expression(query, catalogue, space())


def _stored(catalogue: Catalogue, row: int, query: ItemQuery | SlideQuery) -> EncodedQuery:
    sides = catalogue.modalities_of(row)
    if not sides:
        raise QueryError(f"Item {catalogue.value(row, 'id')!r} has no vector at all, so it cannot be asked with.")
    modality = query.using or sides[0]
    whole_slide = catalogue.value(row, "kind") == "slide"
    return EncodedQuery(
        vector=catalogue.vector(row, modality),
        modality=modality,
        null="slide" if whole_slide else modality,
        description=query.describe() | {"using": modality},
        slides=_named(catalogue.value(row, "slide")),
        patients=_named(catalogue.value(row, "patient")),
        rows=(row,),
        whole_slide=whole_slide,
    )


def _from_expression(
    query: GenesQuery | SentenceQuery | ProfileQuery, catalogue: Catalogue, space: Space
) -> EncodedQuery:
    encoder = space.expression
    match query:
        case GenesQuery():
            genes, notes = list_of(query, catalogue, space)
            return _from_genes(query, encoder.encode_list(genes), "genes", notes)
        case SentenceQuery():
            sentence, notes = sentence_of(query, catalogue, space)
            return _from_genes(query, encoder.encode_sentence(sentence), "sentence", notes)
        case ProfileQuery():
            names = names_of(encoder.genes or catalogue.index.genes).read(query.genes, lambda: catalogue.index.genes)
            return _from_genes(query, _encode_profile(query, names.names, space), "expression", names.notes())


def list_of(query: GenesQuery, catalogue: Catalogue, space: Space) -> tuple[WeightedGenes, tuple[str, ...]]:
    """The genes of a list by the names that the space knows them by, and what the user should know of that.

    Raises
    ------
    GeneQueryError
        If the list does not parse, cancels out, or has no gene that the space knows.
    """
    known = space.expression.query_genes
    names = names_of(known or catalogue.index.genes)
    genes, read = names.read_list(WeightedGenes.parse(query.text), lambda: catalogue.index.genes)
    return genes, _said(names, read, any_symbol=not known)


def sentence_of(query: SentenceQuery, catalogue: Catalogue, space: Space) -> tuple[GeneSentence, tuple[str, ...]]:
    """The same of a gene sentence."""
    known = space.expression.genes
    names = names_of(known or catalogue.index.genes)
    sentence = GeneSentence.parse(query.text)
    read = names.read(sentence.symbols, lambda: catalogue.index.genes)
    symbols = tuple(dict.fromkeys(read.names))
    return replace(sentence, symbols=symbols), _said(names, read, any_symbol=not known)


def _said(names: GeneNames, read: NamesRead, *, any_symbol: bool) -> tuple[str, ...]:
    """Notes on the names of a query; a text tower without a list of genes reads any symbol."""
    if any_symbol:
        return read.notes()
    names.check_any(read, "this space")
    return (*read.notes(), *names.missing(read))


def _from_genes(query: SimpleQuery, encoding: ExpressionEncoding, null: str, notes: tuple[str, ...]) -> EncodedQuery:
    return EncodedQuery(
        vector=encoding.vectors[0],
        modality="expression",
        null=null,
        description=query.describe(),
        genes=encoding.genes,
        notes=notes,
    )


def _encode_profile(query: ProfileQuery, genes: Sequence[str], space: Space) -> ExpressionEncoding:
    counts = np.asarray(query.counts, dtype=np.float32)
    if counts.shape != (len(query.genes),):
        raise QueryError(
            f"The profile has counts of shape {counts.shape} for {len(query.genes)} genes; expected one count per gene."
        )
    if not np.isfinite(counts).all() or (counts < 0).any() or not counts.any():
        raise QueryError("The profile holds negative, missing or only zero counts; give the raw counts of one sample.")
    return space.expression.encode_counts(sp.csr_matrix(counts[None, :]), genes)


def _from_patch(query: PatchQuery, catalogue: Catalogue, space: Space) -> EncodedQuery:
    patch = resample_patch(query.pixels, query.mpp, space.image.patch)
    origin = _origin(query.slide, catalogue)
    section = None if query.slide is None else _section_of(query.slide, catalogue)
    vector = space.image.encode(patch[None], section=section)[0]
    return EncodedQuery(vector, "image", "image", query.describe(), **origin)


def _from_vector(query: VectorQuery, catalogue: Catalogue) -> EncodedQuery:
    dim = catalogue.index.card.space.dim
    given = np.asarray(query.vector)
    if given.shape != (dim,) or given.dtype.kind != "f":
        raise QueryError(f"Got a vector {given.dtype} {given.shape}; expected floats ({dim},), the dim of the space.")
    precise = given.astype(np.float64)
    length = math.sqrt(np.vdot(precise, precise))
    if not 0 < length < math.inf:
        raise QueryError("The vector is zero or holds NaN or infinity; expected a direction of finite numbers.")
    if query.modality not in ("image", "expression"):
        raise QueryError(f"modality={query.modality!r} is not known; choose image or expression.")
    vector = given.astype(np.float32)
    if abs(length - 1) > _ROUNDING:  # most are unit vectors already
        vector = unit_rows(vector[None], np.array([length], dtype=np.float32))[0]
    return EncodedQuery(vector, query.modality, query.modality, query.describe(), **_origin(query.slide, catalogue))


def _origin(slide: str | None, catalogue: Catalogue) -> dict[str, Any]:
    """Slide and patient that pixels or a vector are from."""
    patient = None if slide is None else catalogue.value(catalogue.slide_row(slide), "patient")
    return {"slides": _named(slide), "patients": _named(patient)}


def _named(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _section_of(slide: str, catalogue: Catalogue) -> SectionStats | None:
    slides = catalogue.index.slide_facts()
    place = slides.column("slide").to_pylist().index(slide)
    values = slides.column("section_stats")[place].as_py()
    return SectionStats.from_list(values) if values else None


def resample_patch(pixels: npt.NDArray[np.uint8], mpp: float, spec: PatchSpec) -> npt.NDArray[np.uint8]:
    """Cut the central square of `spec.side_um` out of the pixels and resample it to `(side_px, side_px, 3)`.

    Raises
    ------
    QueryError
        If the pixels are not uint8 RGB, mpp is not positive, or they cover less tissue than the encoder looks at.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise QueryError(
            f"Got pixels of shape {pixels.shape} and dtype {pixels.dtype}; expected uint8 (height, width, 3)."
        )
    if not (np.isfinite(mpp) and mpp > 0):
        raise QueryError(f"The mpp of the pixels is {mpp}; expected micrometres per pixel, such as 0.5.")
    height, width = pixels.shape[:2]
    side = spec.side_um / mpp
    if min(height, width) < _SHORT_SIDE * side:
        raise QueryError(
            f"The pixels cover {width * mpp:.0f} x {height * mpp:.0f} um at {mpp:g} um/px; the encoder looks at "
            f"{spec.side_um:g} um ({side:.0f} px). Cut a larger square, or check the mpp."
        )
    from PIL import Image

    side = min(side, height, width)
    left, top = (width - side) / 2, (height - side) / 2
    square = Image.fromarray(pixels).resize(
        (spec.side_px, spec.side_px),
        Image.Resampling.BILINEAR,
        box=(left, top, left + side, top + side),
        reducing_gap=None,
    )
    return np.asarray(square, dtype=np.uint8)
