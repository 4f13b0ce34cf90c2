"""What the first page begins with, worked out while the browser still loads its scripts; then what others need."""

import logging
import time
from threading import Thread

from app.api.engines import warm
from app.routes import prepare_api
from app.screens.session import engine
from encoders.contracts import Modality
from encoders.errors import HistoSeekError

_LATER_S = 3.0  # until the first page is drawn, if it was asked for at once


def warm_up() -> tuple[Thread, ...]:
    """Begin on threads of their own; what is wrong with the index the first page says."""
    # Here, not on a thread: two threads that import the same modules may see them half made.
    import app.screens.tissue  # noqa: F401

    # Streamlit says once a thread that nobody sees what is worked out here.
    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").setLevel(logging.ERROR)
    threads = tuple(Thread(target=work, name="warming", daemon=True) for work in (_read_tables, _read_lists))
    for thread in threads:
        thread.start()
    return threads


def _read_tables() -> None:
    from app.screens.tissue import prepare

    try:
        prepare()
        time.sleep(_LATER_S)
        warm(engine())
    except HistoSeekError:
        return
    finally:
        prepare_api()


def _read_lists() -> None:
    sides: tuple[Modality, ...] = ("image", "expression")
    try:
        for side in sides:
            _ = engine().index.vectors(side).ann
    except HistoSeekError:
        return
