"""An evaluation written down: every figure as JSON and CSV, and one picture."""

import csv
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.figures.evaluation import evaluation_figure
from app.figures.style import save
from search.quality.index_evaluation import Evaluation
from search.quality.quality_figures import Figure

JSON_NAME, CSV_NAME, PICTURE_NAME = "evaluation.json", "evaluation.csv", "evaluation.png"


def write_evaluation(
    found: Evaluation, payload: Mapping[str, Any], folder: Path, *, provenance: str = ""
) -> tuple[Path, ...]:
    """Write `evaluation.json`, `evaluation.csv` and `evaluation.png` into a folder, replacing those there.

    Parameters
    ----------
    found : Evaluation
        What was measured.
    payload : mapping
        The same as the command line prints it, in JSON's own types.
    folder : Path
        Made if it is not there; raises `OSError` if it cannot be written to.
    provenance : str
        Written under the picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / JSON_NAME
    whole.write_text(json.dumps(payload, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    names = [field.name for field in dataclasses.fields(Figure)]
    with (folder / CSV_NAME).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=names)
        writer.writeheader()
        writer.writerows(dataclasses.asdict(figure) for figure in found.figures)
    picture = save(evaluation_figure(found, provenance=provenance), folder / PICTURE_NAME)
    return whole, folder / CSV_NAME, picture
