"""A YAML file that people write: keys written twice are refused, and what is wrong with it is one sentence."""

from typing import Any

import yaml
from pydantic import ValidationError


class UniqueKeys(yaml.SafeLoader):
    """Plain YAML that refuses a key written twice, which PyYAML would let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Build a mapping after checking its keys."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if key != "<<" and keys.count(key) > 1:
                problem = f"key '{key}' is written twice"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep=deep)


def first_problem(error: ValidationError) -> str:
    """Place, value and expectation of the first problem, in one sentence."""
    problem = error.errors()[0]
    loc = [str(part) for part in problem["loc"]]
    place = []
    if loc[:1] == ["datasets"] and len(loc) > 1:
        place.append(f"data set '{loc[1]}'")
        loc = loc[2:]
        if loc[:1] == ["slides"] and len(loc) > 1:
            place.append(f"slide '{loc[1]}'")
            loc = loc[2:]
    if loc:
        place.append(f"key '{'.'.join(part for part in loc if part != '[key]')}'")
    where = ", ".join(place) or "top level"
    more = f" ({error.error_count() - 1} more problems)" if error.error_count() > 1 else ""
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key; correct its spelling or remove it{more}."
    value = repr(problem["input"])
    shown = value if len(value) <= 80 else f"{value[:77]}..."
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: got {shown}; {message[0].lower()}{message[1:]}{more}."
