"""The script Streamlit runs: navigation, the mark, and what holds on every page."""

from pathlib import Path

import streamlit as st

from app.screens.links import begin_link, end_link
from app.screens.login import require_login
from app.screens.open_hits import listen, was_opened
from app.screens.session import errors_as_sentences, slides
from app.screens.theme import ICON, WORDMARK, apply_style

_PAGES = (
    ("tissue.py", "Tissue", ":material/biotech:"),
    ("genes.py", "Genes", ":material/genetics:"),
    ("slides.py", "Slides", ":material/grid_view:"),
    ("regions.py", "Regions", ":material/category:"),
    ("sections.py", "Sections", ":material/layers:"),
    ("index.py", "Index", ":material/database:"),
)


def show() -> None:
    """Set the page up, say if the data is generated, and run the chosen page."""
    st.set_page_config(page_title="HistoSeek", page_icon=ICON, layout="wide")
    apply_style()
    st.logo(WORDMARK, size="large")
    require_login()
    here = Path(__file__).parent
    pages = [
        st.Page(here / file, title=title, icon=icon, default=number == 0)
        for number, (file, title, icon) in enumerate(_PAGES)
    ]
    page = st.navigation(pages, position="top")
    begin_link()
    listen()
    with errors_as_sentences():
        _say_if_generated()
        if was_opened() and page != pages[0]:
            st.switch_page(pages[0])
        page.run()
        end_link()


def _say_if_generated() -> None:
    table = slides()
    if not table["generated"].any():
        return
    share = "All slides of this index are" if table["generated"].all() else "Some slides of this index are"
    st.warning(
        f"**Generated data.** {share} made by a program, not taken from a patient; nothing here is a finding.",
        icon=":material/science:",
    )


if __name__ == "__main__":
    show()
