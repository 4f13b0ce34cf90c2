"""What the schema of the HTTP API allows and what it does not, asked of a running server by schemathesis."""

import time
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

#: A question that fits the schema may still name an item that is not there, so that a refusal is no failure.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
]
_EXAMPLES = 20  # of an address in a round


@dataclass
class Fuzzed:
    """What a run found.

    Attributes
    ----------
    n_asked, n_server_errors : int
        Requests, and answers of 500 and above but for 503, which says that the server is busy.
    failures : list of str
        What was wrong, once each.
    """

    n_asked: int = 0
    n_server_errors: int = 0
    failures: list[str] = field(default_factory=list)


def fuzz(url: str, seconds: float) -> Fuzzed:
    """Ask every address of the schema in turn until the time is over."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    found, until, number = Fuzzed(), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        for operation in operations:
            if time.monotonic() >= until:
                break
            _ask(operation, number, found, until)
        number += 1
    return found


def _ask(operation: APIOperation[Any, Any, Any, Any], seed: int, found: Fuzzed, until: float) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def ask(case: schemathesis.Case[Any]) -> None:
        if time.monotonic() >= until:
            return
        found.n_asked += 1
        response = case.call()
        found.n_server_errors += response.status_code >= 500 and response.status_code != 503
        try:
            case.validate_response(response, checks=CHECKS)
        except (Failure, FailureGroup) as error:
            told = f"{operation.method.upper()} {operation.path} -> {response.status_code}: {_sentence(error)}"
            if told not in found.failures:
                found.failures.append(told)

    ask()


def _sentence(error: Failure | FailureGroup) -> str:
    failures = error.exceptions if isinstance(error, FailureGroup) else [error]
    return "; ".join(" ".join(str(failure).split())[:300] for failure in failures)
