"""Page: give the tiles or spots of a slide classes by marker genes, see where they lie, take them to QuPath."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import streamlit as st

from app.exports.annotation_files import write_annotation
from app.figures.class_colours import class_colours
from app.screens.answers import annotation
from app.screens.chart_view import show_chart
from app.screens.charts import class_bars
from app.screens.links import keep, restore, switched
from app.screens.notes import show_notes
from app.screens.session import engine, errors_as_sentences
from app.screens.slide_map import draw_classes
from app.screens.slide_picker import choose_slide, items_on
from search.annotation.annotate import Annotation
from search.annotation.classes import UNASSIGNED, known_sets, marker_set
from search.annotation.items import Using

_OWN = "Markers of your own"
_EXAMPLE = "Tumour: EPCAM KRT8 KRT18 ERBB2\nStroma: COL1A1 COL1A2 VIM\nImmune: CD3D CD8A MS4A1 IGKC"
_COMPARED: dict[str, Using | None] = {"Best there is": None, "Own counts": "counts", "Image": "image"}
_FIRST, _RATE = "Best there is", 0.5
_FILES = {
    ".geojson": "Regions for QuPath (GeoJSON)",
    ".csv": "Table (CSV)",
    ".h5ad": "Classes, counts and positions (h5ad)",
    ".png": "Figure (PNG)",
    ".svg": "Figure (SVG)",
}


def show() -> None:
    """Draw the page."""
    left, right = st.columns([6, 6], gap="large")
    with right:
        slide = choose_slide()
        classes = _choose_classes()
        using, rate, smooth = _choose_manner()
    answers: list[Annotation] = []  # stays empty where an error is shown instead
    with right, errors_as_sentences():
        answers.append(annotation(slide, classes, using=using, rate=rate, smooth=smooth))
        _show_answer(answers[0])
    if not answers:
        return
    found = answers[0]
    with left, errors_as_sentences():
        frame = found.to_pandas()
        points = items_on(slide, found.kind)
        named = frame.set_index("id")["class"].reindex(points["id"])
        draw_classes(slide, points, tuple(named), class_colours(found.classes), key="regions")


def _choose_classes() -> str:
    """Genes of each class, a line a class, of a set or as typed."""
    offered = [*sorted(known_sets(), key=lambda name: not name.endswith("regions")), _OWN]
    restore("markers", offered)
    chosen = str(st.selectbox("Classes by marker genes", offered, key="markers", format_func=_set_name))
    keep("markers", chosen)
    if chosen != _OWN:
        classes = marker_set(chosen)
        with st.expander("Genes of these classes"):
            st.dataframe(
                pd.DataFrame({"class": classes.names, "genes": [str(genes) for genes in classes.genes.values()]}),
                hide_index=True,
                alt="Marker genes of each class",
            )
            for source in classes.sources:
                st.caption(source)
        return "\n".join(f"{name}: {genes}" for name, genes in classes.genes.items())
    restore("marker_lines")
    st.session_state.setdefault("marker_lines", _EXAMPLE)
    lines = st.text_area("A line a class: its name, a colon, its genes", key="marker_lines", height=120)
    keep("marker_lines", str(lines))
    return str(lines)


def _choose_manner() -> tuple[Using | None, float, bool]:
    restore("annotate_using", _COMPARED, first=_FIRST)
    restore("annotate_rate", read=_share, first=_RATE)
    restore("annotate_smooth", read=switched, first=False)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        compared = st.segmented_control("Compare", list(_COMPARED), key="annotate_using", required=True) or _FIRST
        rate = st.slider(
            "Given a class by chance", 0.05, 1.0, step=0.05, key="annotate_rate", width=200,
            help="Share of other patients' items that would be given a class; 1 gives every item its best class.",
        )  # fmt: skip
        smooth = st.toggle("Smooth", key="annotate_smooth", help="Average scores over neighbours.")
    keep("annotate_using", compared, first=_FIRST)
    keep("annotate_rate", rate, first=_RATE)
    keep("annotate_smooth", smooth, first=False)
    return _COMPARED[compared], float(rate), bool(smooth)


def _share(text: str) -> float:
    """A share in a link, on a step of the slider."""
    return min(max(round(20 * float(text)), 1), 20) / 20


def _show_answer(found: Annotation) -> None:
    frame = found.to_pandas()
    colours = class_colours(found.classes)
    counts = frame["class"].value_counts().reindex([*found.classes, UNASSIGNED]).fillna(0).astype(int)
    show_chart(
        class_bars(counts[counts > 0], colours),
        key="class-chart",
        alt=f"Number of {found.kind}s of each class",
    )
    show_notes(found.notes)
    _offer_files(found)
    with st.expander("As a table"):
        st.dataframe(frame, hide_index=True, alt=f"Class of each {found.kind}")


def _offer_files(found: Annotation) -> None:
    asked = engine()

    def made(kind: str) -> bytes:
        with TemporaryDirectory() as folder:
            return write_annotation(found, asked, Path(folder) / f"classes{kind}").read_bytes()

    with st.popover("Download", icon=":material/download:"):
        for kind, label in _FILES.items():
            st.download_button(
                label, partial(made, kind), file_name=f"classes{kind}", key=f"classes{kind}", on_click="ignore",
                type="tertiary",
            )  # fmt: skip


def _set_name(name: str) -> str:
    return name if name == _OWN else name.replace("-", " ").capitalize()


if __name__ == "__main__":
    show()
