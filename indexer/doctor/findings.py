"""One thing the doctor looked at."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    about : str
        machine, packages, spaces, settings, disk, index, slides.
    what : str
        The thing.
    found : str
        What it is like.
    state : str
        `ok`; `note` where something could be better or will fail in part; `broken` where something needed is not there.
    next_step : str
        What to do; of what is well, what it is good for, or nothing.
    """

    about: str
    what: str
    found: str
    state: State = "ok"
    next_step: str = ""


def is_sound(findings: list[Finding]) -> bool:
    """Whether nothing needed is broken."""
    return all(finding.state != "broken" for finding in findings)
