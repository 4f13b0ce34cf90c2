"""One committed state of an index, and what is worked out from it once: every verb of the engine runs on one."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from encoders.given_space import FAMILY as GIVEN_VECTORS
from encoders.given_space import space_of_card
from encoders.space import Space
from indexer.index import Index
from search.catalogue import Catalogue, Mask
from search.composing.encoding import encode
from search.encoding import EncodedQuery
from search.expression.learned import Learned
from search.expression.standouts import mean_share
from search.profiles import Doubles, has_counts, mean_log_expression
from search.query import Query
from search.result import SearchResult
from search.retrieval.filters import DEFAULT_KINDS, Exclude
from search.retrieval.retrieve import Request, Retrieval, retrieve
from search.retrieval.slide_null import SlideNulls, SlidesAsked, with_p_values
from search.retrieval.slide_parts import PartsOfSlides


class State:
    """The index at one commit, in the space that queries are encoded in."""

    def __init__(self, index: Index, space: Callable[[], Space]) -> None:
        self.index = index
        self.space = space
        self.catalogue = Catalogue(index)

    def encode(self, query: Query) -> EncodedQuery:
        """Turn a query into a vector; see `search.composing.encoding.encode`."""
        return encode(query, self.catalogue, self.space)

    def retrieve(self, query: EncodedQuery, request: Request, among: Mask | None = None) -> Retrieval:
        """Answer an encoded query; see `search.retrieval.retrieve.retrieve`."""
        return retrieve(self.catalogue, query, request, self.space().card.calibration, among)

    def search(self, query: EncodedQuery, request: Request) -> SearchResult:
        """Hits of an encoded query; slides found for a slide are set against pairs of slides of this index."""
        found = self.retrieve(query, request)
        if query.row is None or not query.whole_slide or found.scope.kinds != ("slide",):
            return found.result
        asked = SlidesAsked(query.slides[0], query.modality, request.target, found.scored.scores)
        return with_p_values(found.result, self.slide_nulls, self.catalogue, asked)

    def with_counts(self, query: EncodedQuery, *, k: int, where: str | None, exclude: Exclude) -> Retrieval:
        """The nearest items that have counts."""
        kinds = DEFAULT_KINDS["expression"]
        request = Request(target="expression", kind=kinds, k=k, where=where, exclude=exclude)
        return self.retrieve(query, request, has_counts(self.catalogue))

    @cached_property
    def parts(self) -> PartsOfSlides:
        """What stands for each slide besides its mean."""
        return PartsOfSlides(self.index)

    @cached_property
    def slide_nulls(self) -> SlideNulls:
        """Pairs of slides that do not belong together."""
        return SlideNulls(self.catalogue, self.parts)

    @cached_property
    def learned(self) -> Learned:
        """What predictions rest on that is fitted to the index once."""
        return Learned(self.catalogue)

    @cached_property
    def mean_share(self) -> Doubles:
        """Mean share of each gene over the slides."""
        return mean_share(self.catalogue)

    @cached_property
    def mean_log_expression(self) -> Doubles:
        """Mean log expression of each gene over the items with counts."""
        return mean_log_expression(self.catalogue)


def space_for(index: Index, named: str | Path | None, device: str) -> Space:
    """The space that was named, or else the one the index lives in."""
    own = index.card.space
    if named is None and own.recipe.get("family") == GIVEN_VECTORS:
        return space_of_card(own)
    from encoders.registry import open_space  # what an index of given vectors does without

    return open_space(named or own.name, device=device)
