"""Questions kept as `query.yaml`: what was asked, of which index, by which version, to be asked again."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from app.api import verbs
from app.api.requests import CohortsOptions, MapOptions, PredictOptions, SearchOptions
from app.errors import ShowError
from app.searches import OF_SLIDES
from search.engine import Engine
from search.query import Query, SlideQuery
from search.query_form import ReadFile, query_from_dict
from search.result import Findings, SearchResult

SavedVerb = Literal["search", "predict", "cohorts", "similarity-map"]
#: A patch given in a saved question is at most this long, base64 and all.
_MOST_BYTES = 64_000_000
_HEAD = "# `histoseek run {name}` asks this again; `request` is also the body of POST /v1/{verb}.\n"


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one verb is asked: its options, and the call."""

    options: type[BaseModel]
    ask: Callable[[Engine, Query, Any], SearchResult | Findings]


_KINDS: dict[SavedVerb, _Kind] = {
    "search": _Kind(SearchOptions, verbs.search),
    "predict": _Kind(PredictOptions, verbs.predict),
    "cohorts": _Kind(CohortsOptions, verbs.cohorts),
    "similarity-map": _Kind(MapOptions, verbs.similarity_map),
}


class SavedQuery(BaseModel):
    """A question that can be asked again.

    Attributes
    ----------
    verb : str
        What was asked for.
    request : dict
        `query`, which is `Query.to_dict()`, and the options beside it, by the names of the HTTP API and of `Engine`.
    index, space, histoseek : str or None
        Of which index and space it was asked, and the version that wrote it; told, and not asked for again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    verb: SavedVerb
    request: dict[str, Any]
    index: str | None = None
    space: str | None = None
    histoseek: str | None = None

    @classmethod
    def of(cls, verb: SavedVerb, query: Query, said: Mapping[str, Any], engine: Engine) -> "SavedQuery":
        """The question behind an answer.

        Parameters
        ----------
        said : mapping
            The `query` of the answer, which holds the options as they were taken.
        """
        known: Collection[str] = _KINDS[verb].options.model_fields
        if isinstance(query, SlideQuery) and list(said.get("kind") or ()) == ["slide"]:
            # Slides that were compared as slides are asked with what that offers, not as items are.
            known, query = OF_SLIDES | {"match"}, replace(query, using=said.get("using", query.using))
        options = {name: said[name] for name in known if said.get(name) is not None and name != "query"}
        card = engine.space.card
        return cls(
            verb=verb,
            # In JSON's own types, which are also YAML's.
            request=json.loads(json.dumps({"query": query.to_dict(), **options})),
            index=str(engine.index.location),
            space=f"{card.name} {card.revision}",
            histoseek=version("histoseek"),
        )

    def to_yaml(self, name: str = "query.yaml") -> str:
        """Text of the file, `name` being what it will be called."""
        form = self.model_dump(exclude_none=True)
        return _HEAD.format(name=name, verb=self.verb) + yaml.safe_dump(form, sort_keys=False, allow_unicode=True)

    def ask(self, engine: Engine, *, read_file: ReadFile | None = None) -> SearchResult | Findings:
        """Ask again.

        Parameters
        ----------
        engine : Engine
            Whom.
        read_file : callable, optional
            Reads the pixels of a patch that is named and not held; without it no file is opened.

        Raises
        ------
        ShowError
            If there is no query, or an option is not known or out of bounds.
        HistoSeekError
            As the verb.
        """
        kind = _KINDS[self.verb]
        query, options = self.query(read_file=read_file), self._options()
        return kind.ask(engine, query, options)

    def query(self, *, read_file: ReadFile | None = None) -> Query:
        """The query alone. Raises `QueryError` if it is none."""
        return query_from_dict(self.request.get("query") or {}, read_file=read_file)

    def _options(self) -> BaseModel:
        options = {name: value for name, value in self.request.items() if name != "query"}
        try:
            return _KINDS[self.verb].options.model_validate(options)
        except ValidationError as error:
            raise ShowError(f"The options of this saved {self.verb} cannot be used: {_first(error)}.") from error


def read_saved_query(path: Path) -> SavedQuery:
    """Read a saved question.

    Raises
    ------
    ShowError
        If there is no such file, it is too long, no YAML, or no question.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ShowError(f"{path} is larger than {_MOST_BYTES // 1_000_000} MB, which no saved question is.")
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ShowError(f"There is no file {path}. `histoseek search ... --out query.yaml` writes one.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ShowError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    try:
        return SavedQuery.model_validate(form)
    except ValidationError as error:
        raise ShowError(f"{path} is no saved question: {_first(error)}. Expected verb and request.") from error


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, in words."""
    one = error.errors()[0]
    where = ".".join(str(part) for part in one["loc"])
    return f"{where + ': ' if where else ''}{one['msg'][:1].lower()}{one['msg'][1:]}, got {str(one['input'])[:80]!r}"
