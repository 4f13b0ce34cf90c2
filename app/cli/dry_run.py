"""`histoseek ingest --dry-run`: what would be read, what will fail, and what it costs; nothing is written."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from app.cli.output import DONE_WITH_FAILURES, show
from app.tables.forecast import forecast_lines, looks_table

if TYPE_CHECKING:
    from encoders.space import Space
    from indexer.progress import Progress
    from indexer.slides import SlideSource


def show_forecast(
    db: str,
    sources: "Sequence[SlideSource]",
    space: "Space",
    *,
    stride_um: float,
    progress: "Progress",
    as_json: bool,
) -> None:
    """Look at every slide and time the encoders; ends with code 3 if slides will fail."""
    from encoders.errors import SpaceMismatchError
    from indexer.errors import IndexMissingError
    from indexer.forecast.forecast import forecast
    from indexer.index import Index
    from indexer.safety.names import identifying

    there: list[str] = []
    problems: list[str] = []
    try:
        index = Index.open(db)
        there = index.slides()["slide"].to_pylist()
        index.check_space(space.card)
    except IndexMissingError:
        pass  # it would be made
    except SpaceMismatchError as error:
        problems.append(str(error))
    found = forecast(sources, space, tile_stride_um=stride_um, there=there, progress=progress)
    names = identifying(look.slide for look in found.looks)
    problems += [f"{name}: ingest with --hash-names, if they are." for name in names]
    show(
        {"db": db, "forecast": found, "problems": problems},
        [looks_table(found), *forecast_lines(found), *problems],
        as_json=as_json,
    )
    if found.failing:
        raise typer.Exit(DONE_WITH_FAILURES)
