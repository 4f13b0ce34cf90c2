"""One question of the demo with its answer: tables, pictures, and the same as JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.tables.view import TableView

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class NamedFigure:
    """A picture to be drawn: its file name without suffix, what it shows, and how."""

    name: str
    caption: str
    draw: "Callable[[], Figure]"


@dataclass(frozen=True, slots=True)
class Section:
    """One question.

    Attributes
    ----------
    key : str
        Name of the question in JSON.
    title : str
        The question as people ask it.
    asked : str
        With which item, and by which rule it was chosen.
    tables : sequence of TableView
        The answer.
    figures : sequence of NamedFigure
        Its pictures.
    payload : dict
        The answer, JSON-ready.
    """

    key: str
    title: str
    asked: str
    tables: Sequence[TableView]
    figures: Sequence[NamedFigure]
    payload: dict[str, Any] = field(default_factory=dict)
