"""How an index is searched: by which engine, and on which device."""

from dataclasses import dataclass
from typing import Literal, get_args

from indexer.errors import StoreError

EngineName = Literal["auto", "faiss", "codes", "lance"]
SearchDevice = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Access:
    """What is kept in memory of the vectors, and what looks for the nearest of them.

    Attributes
    ----------
    engine : {"auto", "faiss", "codes", "lance"}
        `faiss` searches FAISS's lists and compares vectors mapped from the sidecar. `codes` searches the same lists and
        reads the few vectors it compares from the table, so that their file is not needed. `lance` searches LanceDB's
        own index where the table lies, on a disk or in a bucket. `auto` is `faiss`, and `lance` where no sidecar is
        there and the vectors are more than the free memory that making one takes.
    device : {"auto", "cpu", "cuda"}
        Where `faiss` compares vectors; `auto` takes a GPU if FAISS sees one and the vectors fit.

    Raises
    ------
    StoreError
        If a name is not known, or the two do not go together.
    """

    engine: EngineName = "auto"
    device: SearchDevice = "auto"

    def __post_init__(self) -> None:
        for what, value, known in (
            ("engine", self.engine, get_args(EngineName)),
            ("search device", self.device, get_args(SearchDevice)),
        ):
            if value not in known:
                raise StoreError(f"{what} {value!r} is not known; choose {', '.join(known)}.")
        if self.device == "cuda" and self.engine in ("codes", "lance"):
            raise StoreError(
                f"Engine {self.engine} keeps no vectors to put on a GPU; leave the search device out, or search with "
                "engine faiss."
            )
