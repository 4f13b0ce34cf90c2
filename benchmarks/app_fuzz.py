"""What the schema of the HTTP API allows and what it does not, asked of a running server by schemathesis."""

import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import hypothesis
import numpy as np
import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

#: Values that a field of a name may have.
Known = dict[str, list[str]]
Operation = APIOperation[Any, Any, Any, Any]
#: A question that fits the schema may still name an item that is not there, so that a refusal is no failure.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
]
_TIMEOUT_S = 90.0  # longer than the server takes at most
_EXAMPLES = 20  # of an address in a round


@dataclass
class Fuzzed:
    """What a run found.

    Attributes
    ----------
    n_asked, n_answered, n_server_errors : int
        Requests, those answered with 200, and answers of 500 and above, or none at all, but for
        503, which says that the server is busy.
    failures : list of str
        What was wrong, once each.
    """

    n_asked: int = 0
    n_answered: int = 0
    n_server_errors: int = 0
    failures: list[str] = field(default_factory=list)

    def tell(self, operation: Operation, what: str) -> None:
        """Note what was wrong."""
        told = f"{operation.method.upper()} {operation.path} -> {what}"
        if told not in self.failures:
            self.failures.append(told)


def fuzz(url: str, seconds: float) -> Fuzzed:
    """Ask every address of the schema in turn until the time is over.

    Every other round asks only what the schema allows, about what the index holds, so that questions are worked on.
    """
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    known = known_values(httpx.Client(base_url=url, timeout=60, trust_env=False))
    found, until, number = Fuzzed(), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        for operation in operations:
            if time.monotonic() < until:
                _ask(operation, number, found, until, known if number % 2 else None)
        number += 1
    return found


def known_values(client: httpx.Client) -> Known:
    """Values of an index by the name of a field, for a server that answers."""
    items = client.get("/v1/items", params={"limit": 200}).json()["items"]
    ids = [row["id"] for row in items]
    slides = sorted({row["slide"] for row in items})
    genes = [row["symbol"] for row in client.get("/v1/genes", params={"limit": 50}).json()["genes"]]
    texts = [f"{one}:2 -{other}" for one, other in zip(genes[::2], genes[1::2], strict=False)]
    conditions = ["total_counts > 10", "kind = 'spot'", "x_px + y_px < 500", "lower(slide) LIKE 'g%' OR label IS NULL"]
    return {
        "id": ids,
        "item": ids,
        "items": ids,
        "bulk_items": ids,
        "slide": slides,
        "other": slides,
        "text": texts,
        "genes": genes,
        "where": conditions,
        "of": conditions,
    }


def made_known(value: Any, known: Known, random: np.random.Generator, name: str = "") -> Any:
    """The same body, with texts of known fields replaced by what is in the index."""
    if isinstance(value, dict):
        return {key: made_known(part, known, random, key) for key, part in value.items()}
    if isinstance(value, list):
        return [made_known(part, known, random, name) for part in value]
    if isinstance(value, str) and name in known:
        return str(random.choice(known[name]))
    return value


def _ask(operation: Operation, seed: int, found: Fuzzed, until: float, known: Known | None) -> None:
    random = np.random.default_rng(seed)
    # A picture that schemathesis makes for a form is right, though it calls it wrong.
    checks = [one for one in CHECKS if one is not negative_data_rejection or not operation.path.endswith("/patch")]
    allowed = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy() if known is None else allowed)
    def ask(case: schemathesis.Case[Any]) -> None:
        if time.monotonic() >= until:
            return
        if known is not None and isinstance(case.body, dict):
            case.body = made_known(case.body, known, random)
        found.n_asked += 1
        try:
            response = case.call(timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            found.n_server_errors += 1
            found.tell(operation, type(error).__name__)
            return
        found.n_answered += response.status_code == 200
        found.n_server_errors += response.status_code >= 500 and response.status_code != 503
        try:
            case.validate_response(response, checks=checks)
        except (Failure, FailureGroup) as error:
            found.tell(operation, f"{response.status_code}: {_sentence(error)}")

    ask()


def _sentence(error: Failure | FailureGroup) -> str:
    failures = error.exceptions if isinstance(error, FailureGroup) else [error]
    return "; ".join(" ".join(str(failure).split())[:300] for failure in failures)
