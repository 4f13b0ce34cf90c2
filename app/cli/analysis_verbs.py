"""Options of the verbs that say of a query what its hits are: `predict`, `decompose`, `cohorts`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from app.cli.options import LeftOut, Where
from app.cli.questions import QueryOptions

K = Annotated[int | None, typer.Option("-k", min=1, help="Hits to read; the analysis has its own default.")]


@dataclass(frozen=True, slots=True)
class AnalysisOptions(QueryOptions):
    """The query, and what may answer."""

    k: K = None
    where: Where = None
    exclude: LeftOut = "auto"
