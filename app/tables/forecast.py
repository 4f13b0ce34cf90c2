"""What an ingest would do, as tables."""

from app.tables.view import NONE, Column, TableView, size_text, text
from indexer.forecast.forecast import Forecast
from indexer.forecast.looks import SlideLook

_N_LISTED = 200


def looks_table(found: Forecast) -> TableView:
    """Every slide on a line, those that will fail first."""
    looks = sorted(found.looks, key=lambda look: not look.will_fail)
    rows = [_row(look, there=look.slide in found.there) for look in looks[:_N_LISTED]]
    left = len(looks) - len(rows)
    columns = (
        Column("slide"),
        Column("what"),
        Column("size", "right"),
        Column("mpp", "right"),
        Column("from"),
        Column("tiles", "right"),
        Column("rows", "right"),
        Column("reason and next step", wrap=True),
    )
    caption = f"And {left:,} more; --json lists them all." if left else ""
    return TableView(title="Slides", columns=columns, rows=rows, caption=caption)


def forecast_lines(found: Forecast) -> list[str]:
    """Totals and cost, in a few sentences."""
    n_new = sum(not look.will_fail and look.slide not in found.there for look in found.looks)
    speeds = [
        f"{speed:,.0f} {what} a second"
        for speed, what in ((found.patches_per_s, "patches"), (found.rows_per_s, "rows of counts"))
        if speed
    ]
    measured = f", with {' and '.join(speeds)} as measured on this machine" if speeds else ""
    slides = (
        f"{len(found.looks)} slides: {n_new} to read, {len(found.there)} in the index already (read again only if "
        f"their files changed), {len(found.failing)} will fail."
    )
    cost = (
        f"Those to read give about {found.n_tiles:,} tiles and {found.n_items:,} items, "
        f"{size_text(found.bytes_index)} in the index, in about {duration_text(found.seconds)}{measured}."
    )
    return [slides, cost, "Nothing was written."]


def duration_text(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5_400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3_600:.1f} h"


def _row(look: SlideLook, *, there: bool) -> tuple[str, ...]:
    size = NONE if look.width_px is None else f"{look.width_px:,} x {look.height_px:,}"
    what = "will fail" if look.will_fail else "is there" if there else "to read"
    mpp = NONE if look.mpp is None else f"{look.mpp:.4g}"
    why = " ".join(part for part in (look.reason, look.next_step) if part)
    return (look.slide, what, size, mpp, text(look.mpp_source), f"{look.n_tiles:,}", f"{look.n_rows:,}", why)
