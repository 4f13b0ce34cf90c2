"""Options of `histoseek serve` that say who may ask, and how much."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cell_types import ReferenceFile
from app.exposure import is_loopback

if TYPE_CHECKING:
    from app.api.settings import ApiSettings

Keys = Annotated[
    str,
    typer.Option(
        "--api-keys",
        help="File of keys that callers of the HTTP API must have, a NAME:KEY a line; see `histoseek api-key`.",
        envvar="HISTOSEEK_API_KEYS",
        show_envvar=True,
    ),
]
Origins = Annotated[
    list[str] | None,
    typer.Option("--allow-origin", help="Web page, such as https://example.org, that may call the API; repeatable."),
]
Hosts = Annotated[
    list[str] | None, typer.Option("--allow-host", help="Another name the API is called by; may be repeated.")
]
Rate = Annotated[
    float, typer.Option("--rate-limit", min=0, help="Requests a second of one caller of the API; 0: any number.")
]
Audit = Annotated[
    Path | None,
    typer.Option("--audit-log", help="File that questions are noted in; default: in the user's cache."),
]
NoAudit = Annotated[bool, typer.Option("--no-audit-log", help="Note no questions.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Listen to others though nothing asks who they are.")]


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """Who may ask over HTTP, and how much."""

    keys: Keys = ""
    origins: Origins = None
    hosts: Hosts = None
    rate: Rate = 50.0
    audit: Audit = None
    no_audit: NoAudit = False
    insecure: Insecure = False

    def settings(self, db: str, address: str, reference: ReferenceFile | None) -> "ApiSettings":
        """Settings of the API at an address. Raises `ShowError` for keys that cannot be used."""
        from app.api.keys import read_keys
        from app.api.settings import LOOPBACK_HOSTS, ApiSettings, Limits

        named = tuple(host.lower() for host in self.hosts or ())
        here = LOOPBACK_HOSTS if is_loopback(address) else ()
        return ApiSettings(
            db=db,
            keys=read_keys(self.keys),
            reference=reference,
            hosts=(*here, *named),
            allow_origins=tuple(self.origins or ()),
            audit_log=None if self.no_audit else (self.audit or _default_log()),
            limits=Limits(rate=self.rate, burst=max(1, round(2 * self.rate))),
        )


def _default_log() -> Path:
    from indexer.settings import Settings

    return Settings().cache_dir / "audit" / "questions.jsonl"
