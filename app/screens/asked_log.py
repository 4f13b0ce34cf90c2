"""Notes what is asked on the screens in the log of questions, if the server was started with one."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from app.api.audit import handed_log, log_at
from app.exposure import login_of
from search.result import Findings, SearchResult

Answer = TypeVar("Answer")
_NOTED = "noted-"  # in the session: what was noted last, by verb


def noted(verb: str, asked: dict[str, Any], work: Callable[[], Answer]) -> Answer:
    """Do the work of a question, and note it once, however often its page is drawn."""
    path = handed_log()
    if path is None:
        return work()
    start = time.perf_counter()
    told: dict[str, Any] = {"n_hits": None, "status": "failed"}
    try:
        found = work()
        said = found.query if isinstance(found, SearchResult | Findings) else asked
        told = {"n_hits": len(found) if isinstance(found, SearchResult | Findings) else None, "status": "answered"}
    except Exception as error:
        said, told["status"] = asked, type(error).__name__
        raise
    finally:
        if st.session_state.get(_NOTED + verb) != (key := repr(asked)):
            st.session_state[_NOTED + verb] = key
            ms = round((time.perf_counter() - start) * 1000, 1)
            log_at(path).note(who=visitor(), verb=verb, asked=said, ms=ms, **told)
    return found


def visitor() -> str:
    """Who asks: the address logged in with, else that of the network, `screens` for this machine's own."""
    if login_of() is not None and st.user.get("is_logged_in"):
        return str(st.user.get("email") or st.user.get("sub"))
    return st.context.ip_address or "screens"
