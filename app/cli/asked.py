"""What was asked of a verb, for the record that a run leaves."""

from collections.abc import Mapping
from typing import Any

#: Options that decide how an answer is shown, not what is done.
_SHOWN = ("as_json", "dry_run")
#: Options that hold paths, in which names of people may stand.
_PLACES = ("names", "slides", "slide", "features", "patches", "annotations", "hash_names")


def asked_of(params: Mapping[str, Any], *, hide_names: bool) -> dict[str, str]:
    """Options that were given or have a value, as text; without places and names where those are hidden."""
    given = {name: value for name, value in params.items() if name not in _SHOWN and value not in (None, False, [], ())}
    return {
        name.replace("_", "-"): "(hidden)" if hide_names and name in _PLACES else _text(value)
        for name, value in given.items()
    }


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
