"""Lets timm import torchvision when torchvision's compiled part does not fit the installed torch.

timm imports torchvision for its image transforms only; HistoSeek uses none of its compiled operators. A torchvision
built for another torch (a CUDA wheel beside a CPU torch) fails on import because the schemas of two operators are
missing, so they are declared, without an implementation, and the import is tried again.
"""

from functools import cache
from typing import Any

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def ensure_torchvision_imports() -> Any:
    """Import torchvision, declaring its missing operator schemas first where that is what it takes.

    Returns
    -------
    torch.library.Library or None
        The declarations, which live as long as this object (the cache keeps it); `None` if none were needed.
    """
    try:
        import torchvision  # noqa: F401  (imported to see whether it can be)
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        return _declare_operators()
    return None


def _declare_operators() -> Any:
    from torch.library import Library

    make: Any = Library  # untyped in torch
    declarations = make("torchvision", "DEF")
    for schema in _SCHEMAS:
        declarations.define(schema)
    import torchvision  # noqa: F401

    return declarations
