"""What every page needs, read while the browser still loads its scripts."""

from threading import Thread

from app.api.engines import warm
from app.screens.session import engine, slides
from encoders.errors import HistoSeekError


def warm_up() -> Thread:
    """Open the index on a thread of its own; what is wrong with it the first page says."""
    thread = Thread(target=_read, name="warming", daemon=True)
    thread.start()
    return thread


def _read() -> None:
    import app.screens.tissue  # noqa: F401  # the first page, which Streamlit would import when it is asked for

    try:
        slides()
        warm(engine())
    except HistoSeekError:
        return
