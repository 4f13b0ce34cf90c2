"""A search as the command line, the HTTP API and saved questions ask it."""

from typing import Any

from search.engine import Engine
from search.query import GenesQuery, Query, SentenceQuery, SlideQuery
from search.result import SearchResult
from search.retrieval.slide_matching import Match

#: Options that similar slides have; with any other a slide is asked with as an item is.
OF_SLIDES = frozenset({"k", "where", "exclude"})


def search(engine: Engine, query: Query, *, match: Match = "transport", **given: Any) -> SearchResult:
    """Search with the options of `Engine.search` that were given: a slide is compared part by part if that has them.

    Genes and sentences ask for pictures unless another `target` is given.
    """
    if isinstance(query, SlideQuery) and given.keys() <= OF_SLIDES:
        return engine.similar_slides(query.slide, using=query.using, match=match, **given)
    by_genes = isinstance(query, (GenesQuery, SentenceQuery))
    return engine.search(query, **{"target": "image" if by_genes else "expression"} | given)
