"""Query in, hits and analyses out."""

from search.engine import Engine
from search.query import GenesQuery, ItemQuery, PatchQuery, ProfileQuery, Query, SentenceQuery, SlideQuery
from search.result import Plan, SearchResult

__all__ = [
    "Engine",
    "GenesQuery",
    "ItemQuery",
    "PatchQuery",
    "Plan",
    "ProfileQuery",
    "Query",
    "SearchResult",
    "SentenceQuery",
    "SlideQuery",
]
