"""Page: what is in the index, how good its space is, under which licences, and what failed."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from app.screens.runs_view import show_failed, show_health, show_runs
from app.screens.session import engine, errors_as_sentences, options, slides
from app.screens.upkeep_view import show_encoders, show_questions, show_versions
from encoders.space import SpaceCard

_SLIDE_COLUMNS = [
    "slide", "patient", "cohort", "organ", "diagnosis", "technology", "species", "mpp", "mpp_source", "n_spots",
    "n_cells", "n_tiles", "n_genes_read", "n_genes_outside_panel", "licence", "generated",
]  # fmt: skip
_QUALITY_COLUMNS = {
    "test": "test",
    "direction": "direction",
    "metric": "metric",
    "value": "this space",
    "colour_baseline": "colour statistics",
    "random": "random",
    "n_gallery": "gallery",
}
_PACKAGES = ("histoseek", "lancedb", "faiss-cpu", "torch", "streamlit")


def show() -> None:
    """Draw the page."""
    _show_counts()
    with errors_as_sentences():
        show_health(engine().index)
    st.subheader("Slides")
    st.dataframe(slides()[_SLIDE_COLUMNS], hide_index=True, alt="Slides of the index with their metadata")
    st.subheader("Failed slides")
    show_failed(engine().index)
    left, right = st.columns([7, 5], gap="large")
    with left:
        st.subheader("How good the space is")
        _show_space(engine().space.card)
        st.subheader("Encoders")
        show_encoders(engine().index)
    with right:
        st.subheader("Licences and citations")
        _show_licences()
        st.subheader("Programs")
        _show_versions()
    st.subheader("Versions of the data")
    with errors_as_sentences():
        show_versions(engine().index)
    st.subheader("Last questions")
    show_questions()
    st.subheader("Runs")
    with errors_as_sentences():
        show_runs(engine().index)


def _show_counts() -> None:
    shown = {"slides": len(slides()), "patients": slides()["patient"].nunique()}
    shown |= {f"{kind}s": number for kind, number in _counts_by_kind().items()}
    shown |= {"genes in the panel": len(engine().index.genes)}
    for column, (name, number) in zip(st.columns(len(shown)), shown.items(), strict=True):
        column.metric(name.capitalize(), f"{number:,}", border=True)


def _counts_by_kind() -> dict[str, int]:
    """Items of each kind that there is, slides' own apart."""
    codes, code_of = engine().catalogue.codes("kind")
    found = np.bincount(codes, minlength=len(code_of))
    return {kind: int(found[code_of[kind]]) for kind in ("tile", "spot", "cell", "transcriptome") if kind in code_of}


def _show_space(card: SpaceCard) -> None:
    st.markdown(
        f"**{card.name}**, revision `{card.revision}`, {card.dim} dimensions; a patch is {card.patch_side_um:g} um "
        f"({card.patch_side_px} px) wide. Trained on {card.training_data}. Licence: {card.licence}."
    )
    if not card.quality:
        st.info("The card of this space holds no measured quality.", icon=":material/help:")
        return
    table = pd.DataFrame([row.model_dump() for row in card.quality])
    st.dataframe(
        table[list(_QUALITY_COLUMNS)].rename(columns=_QUALITY_COLUMNS),
        hide_index=True,
        alt="Measured retrieval quality beside random and a colour baseline",
        column_config={
            name: st.column_config.NumberColumn(format="%.3f") for name in ("this space", "colour statistics", "random")
        },
    )
    st.caption("Every figure stands beside what chance, and colour alone, reach on the same gallery.")


def _show_licences() -> None:
    sources = slides().groupby(["cohort", "licence", "citation"], sort=True, as_index=False).agg({"slide": "count"})
    for row in sources.to_dict("records"):
        st.markdown(f"**{row['cohort']}** ({row['slide']} slides). Licence: {row['licence']}.  \n{row['citation']}")


def _show_versions() -> None:
    card = engine().index.card
    installed = {name: _installed(name) for name in _PACKAGES}
    lines = [f"index format {card.format_version}", f"index `{Path(options().db).name}`"]
    lines += [f"{name} {number}" for name, number in installed.items() if number]
    st.caption(" · ".join(lines))


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    show()
