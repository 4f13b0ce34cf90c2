"""Asking servers politely: one client, waits that they ask for, and refusals that keep their reason."""

import email.utils
import ssl
import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from indexer.errors import FetchError, RefusedError, UnreachableError

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 5  # of one request that a busy or failing server answered
BUSY = frozenset({408, 429, 500, 502, 503, 504})
_CONNECT_S, _READ_S = 10.0, 60.0
_LONGEST_WAIT_S = 300.0


def open_client(*, connections: int = 8) -> "httpx.Client":
    """Client that follows redirects; it gives `Authorization` to no other host than the one asked."""
    import httpx

    return httpx.Client(
        verify=_trusted(),
        timeout=httpx.Timeout(_READ_S, connect=_CONNECT_S),
        limits=httpx.Limits(max_connections=connections),
        follow_redirects=True,
        headers={"User-Agent": "histoseek"},
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Certificates that are trusted, read once: it takes longer than a small download."""
    import httpx

    return httpx.create_ssl_context()


def ask(
    client: "httpx.Client",
    url: str,
    *,
    method: str = "GET",
    params: Mapping[str, Any] | None = None,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> "httpx.Response":
    """Whole answer of a server, asked again while it is busy.

    Parameters
    ----------
    client : httpx.Client
        From `open_client`.
    url, method, params, headers : optional
        As httpx takes them.
    body : optional
        Sent as JSON.

    Raises
    ------
    RefusedError
        If the server answers with another status than 200.
    UnreachableError
        If there is no answer.
    """
    import httpx

    attempt = 0
    while True:
        try:
            answer = client.request(method, url, params=params, json=body, headers=headers)
        except httpx.HTTPError as error:
            attempt += 1
            if attempt == ATTEMPTS or isinstance(error, httpx.ConnectError):
                raise UnreachableError(
                    f"No answer from {url}: {type(error).__name__}: {error}. Check the network, then run again."
                ) from error
            pause(backoff_s(attempt))
            continue
        if answer.status_code == 200:
            return answer
        attempt += 1
        if answer.status_code not in BUSY or attempt == ATTEMPTS:
            raise refusal(answer)
        pause(wait_s(answer, attempt))


def ask_json(client: "httpx.Client", url: str, **asked: Any) -> Any:
    """Answer of a server as JSON. Raises as `ask`, and `FetchError` for anything that is no JSON."""
    answer = ask(client, url, **asked)
    try:
        return answer.json()
    except ValueError as error:
        raise FetchError(f"{url} answered with something else than JSON; run again, or check the address.") from error


def refusal(answer: "httpx.Response") -> RefusedError:
    """What a server refused, with its own word for it."""
    code = answer.headers.get("X-Error-Code", "")
    why = answer.headers.get("X-Error-Message") or answer.reason_phrase
    address = str(answer.request.url).partition("?")[0]
    return RefusedError(
        f"{address}: the server answered {answer.status_code} {why}".rstrip(" ."), answer.status_code, code
    )


def wait_s(answer: "httpx.Response", attempt: int) -> float:
    """Seconds that a busy server asks to wait (`Retry-After`, seconds or a date), else a growing pause."""
    asked = answer.headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return min(float(asked), _LONGEST_WAIT_S)
    if asked:
        try:
            then = email.utils.parsedate_to_datetime(asked).timestamp()
        except ValueError:
            return backoff_s(attempt)
        return min(max(then - time.time(), 0.0), _LONGEST_WAIT_S)
    return backoff_s(attempt)


def backoff_s(attempt: int) -> float:
    """Pause after so many attempts in vain: none after a good one, then 1, 2, 4, 8 s."""
    return min(2.0 ** (attempt - 1), 30.0) if attempt else 0.0


def pause(seconds: float, stop: threading.Event | None = None) -> None:
    """Wait, no longer than until `stop` is set."""
    (stop or threading.Event()).wait(seconds)
