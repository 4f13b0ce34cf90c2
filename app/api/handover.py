"""Settings of the API handed from the command to the process that serves screens and API on one port.

They go through the environment, which other users of the machine cannot read; keys go as digests.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from app.api.keys import KeyRing
from app.api.settings import ApiSettings, Limits
from app.cell_types import ReferenceFile
from search.engine import Engine

if TYPE_CHECKING:
    from starlette.routing import Mount

VARIABLE = "HISTOSEEK_MOUNTED_API"
PATH = "/api"


class _Handed(BaseModel):
    db: str
    digests: tuple[tuple[str, str], ...]
    hosts: tuple[str, ...]
    allow_origins: tuple[str, ...]
    audit_log: Path | None
    rate: float
    burst: int


def environment_of(settings: ApiSettings) -> dict[str, str]:
    """The variable that carries the settings."""
    handed = _Handed(
        db=settings.db,
        digests=settings.keys.digests,
        hosts=settings.hosts,
        allow_origins=settings.allow_origins,
        audit_log=settings.audit_log,
        rate=settings.limits.rate,
        burst=settings.limits.burst,
    )
    return {VARIABLE: handed.model_dump_json()}


def mounted(open_engine: Callable[[], Engine], reference: ReferenceFile | None) -> "list[Mount]":
    """The API below `/api`, if settings were handed over; its engine is that of the screens."""
    given = os.environ.get(VARIABLE)
    if not given:
        return []
    from starlette.routing import Mount

    from app.api.application import create_api  # the command that hands over does without FastAPI

    handed = _Handed.model_validate_json(given)
    settings = ApiSettings(
        db=handed.db,
        keys=KeyRing(handed.digests),
        reference=reference,
        hosts=handed.hosts,
        allow_origins=handed.allow_origins,
        audit_log=handed.audit_log,
        limits=Limits(rate=handed.rate, burst=handed.burst),
    )
    return [Mount(PATH, create_api(settings, open_engine))]
