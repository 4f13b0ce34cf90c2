"""Questions as people ask them: each verb alone, and ten people at once."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from benchmarks.app_server import Served
from benchmarks.report import Row

BENCH = "app"
PEOPLE = 10
_TIMEOUT_S = 60.0
_BAR_S = "bar 2 s"
_GENES = ("ERBB2", "KRT19", "KRT8", "EPCAM", "VIM", "COL1A1", "CD3D", "PTPRC")


@dataclass
class Told:
    """What people met with."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)


class Questions:
    """Questions to an index about what is in it, in a fixed random order."""

    def __init__(self, url: str) -> None:
        with httpx.Client(base_url=url, timeout=_TIMEOUT_S, trust_env=False) as client:
            held = client.get("/v1/items", params={"where": "kind = 'spot' AND side_um > 0", "limit": 500}).json()[
                "items"
            ]
            self._picture = client.get(f"/v1/items/{held[0]['id']}/thumbnail").content
        self._ids = [row["id"] for row in held]
        self._slides = sorted({row["slide"] for row in held})

    def verbs(self) -> dict[str, Callable[[httpx.Client, np.random.Generator], httpx.Response]]:
        """A way to ask each verb."""
        return {
            "search item": lambda c, r: self._post(c, "search", self._item(r), k=10),
            "search genes": lambda c, r: self._post(c, "search", self._list(r), k=10),
            "search patch": self._patch,
            "search slide": lambda c, r: self._post(c, "search", {"type": "slide", "slide": r.choice(self._slides)}),
            "predict": lambda c, r: self._post(c, "predict", self._item(r), n_genes=20),
            "cohorts": lambda c, r: self._post(c, "cohorts", self._item(r), by="patient"),
            "similarity-map": lambda c, r: self._post(
                c, "similarity-map", self._list(r), slide=str(r.choice(self._slides))
            ),
            "item": lambda c, r: c.get(f"/v1/items/{r.choice(self._ids)}"),
            "thumbnail": lambda c, r: c.get(f"/v1/items/{r.choice(self._ids)}/thumbnail"),
        }

    def _item(self, random: np.random.Generator) -> dict[str, Any]:
        return {"type": "item", "id": str(random.choice(self._ids))}

    def _list(self, random: np.random.Generator) -> dict[str, Any]:
        return {"type": "genes", "text": " ".join(random.choice(_GENES, 3, replace=False))}

    def _patch(self, client: httpx.Client, random: np.random.Generator) -> httpx.Response:
        mpp = f"{random.uniform(1.5, 2.5):.3f}"
        return client.post("/v1/search/patch", files={"image": ("tile.jpg", self._picture)}, data={"mpp": mpp})

    @staticmethod
    def _post(client: httpx.Client, verb: str, query: dict[str, Any], **options: Any) -> httpx.Response:
        return client.post(f"/v1/{verb}", json={"query": {k: str(v) for k, v in query.items()}, **options})


def verb_rows(served: Served, n: int) -> Iterator[Row]:
    """Median and 95th percentile of each verb, one question after the other."""
    questions, random = Questions(served.url), np.random.default_rng(0)
    with httpx.Client(base_url=served.url, timeout=_TIMEOUT_S, trust_env=False) as client:
        for verb, ask in questions.verbs().items():
            ask(client, random).raise_for_status()  # what is worked out once is
            seconds = []
            for _ in range(n):
                start = time.perf_counter()
                ask(client, random).raise_for_status()
                seconds.append(time.perf_counter() - start)
            for share in (50, 95):
                yield Row(BENCH, f"HTTP {verb} p{share}", float(np.percentile(seconds, share)), "s", None, n)


def people_rows(served: Served, seconds: float) -> Iterator[Row]:
    """Ten people who ask again as soon as they are answered, for some time."""
    told = ask_at_once(served, seconds)
    note = f"{len(told.seconds) / seconds:.0f} answers a second, none waits between questions; {seconds:g} s"
    for share in (50, 95):
        value = float(np.percentile(told.seconds, share))
        yield Row(BENCH, f"HTTP 10 people at once p{share}", value, "s", _BAR_S, len(told.seconds), note)
    first = next(iter(told.errors), "")
    yield Row(BENCH, "HTTP 10 people at once, errors", len(told.errors), "answers", "bar 0", len(told.seconds), first)
    n = len(told.memory_mb)
    # Medians: what four questions hold at the moment comes and goes.
    early, late = (float(np.median(part)) for part in (told.memory_mb[n // 4 : n // 2], told.memory_mb[-(n // 4) :]))
    grown = f"{early:.0f} MiB in the second quarter of the time, {late:.0f} in the last; most {max(told.memory_mb):.0f}"
    yield Row(BENCH, "HTTP 10 people at once, memory grown", late - early, "MiB", "bar: flat", n, grown)


def ask_at_once(served: Served, seconds: float) -> Told:
    """What ten people met with."""
    questions, told, lock = Questions(served.url), Told(), threading.Lock()
    until = time.monotonic() + seconds

    def person(number: int) -> None:
        random, verbs = np.random.default_rng(number), list(questions.verbs().values())
        with httpx.Client(base_url=served.url, timeout=_TIMEOUT_S, trust_env=False) as client:
            while time.monotonic() < until:
                start = time.perf_counter()
                error = _outcome(verbs[int(random.integers(len(verbs)))], client, random)
                with lock:
                    told.seconds.append(time.perf_counter() - start)
                    told.errors += [error] if error else []

    people = [threading.Thread(target=person, args=(number,)) for number in range(PEOPLE)]
    for one in people:
        one.start()
    while any(one.is_alive() for one in people):
        told.memory_mb.append(served.memory_mb())
        time.sleep(min(1.0, seconds / 20))
    return told


def _outcome(
    ask: Callable[[httpx.Client, np.random.Generator], httpx.Response],
    client: httpx.Client,
    random: np.random.Generator,
) -> str:
    try:
        response = ask(client, random)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return "" if response.is_success else f"{response.status_code}: {response.text[:200]}"
