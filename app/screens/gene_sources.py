"""Gene lists that are at hand: marker sets, a GMT file, a table of differential expression."""

from collections.abc import Mapping

import streamlit as st

from app.screens.session import errors_as_sentences
from app.uploads import MAX_UPLOAD_MB, decode_text
from encoders.gene_lists import WeightedGenes
from search.annotation.classes import known_sets, marker_set
from search.gene_tables import read_expression_table, read_gene_sets

_EXAMPLE = "gene\tlogFC\tpadj\nERBB2\t4.1\t1e-30\nGRB7\t3.2\t1e-18\nESR1\t-2.7\t1e-9"
_HALLMARK = (
    "Hallmark and the other sets of MSigDB are not HistoSeek's to pass on: download the .gmt from "
    "[gsea-msigdb.org](https://www.gsea-msigdb.org/gsea/msigdb) and upload it here."
)


def choose_source() -> None:
    """Tabs below the text line; what is taken there becomes the text."""
    with st.expander("Gene sets, or a table of differential expression", icon=":material/library_books:"):
        shipped, own, table = st.tabs(["Marker sets", "Your gene sets (GMT)", "Differential expression"])
        with shipped, errors_as_sentences():
            _choose_shipped()
        with own, errors_as_sentences():
            _choose_own()
        with table, errors_as_sentences():
            _choose_table()


def _choose_shipped() -> None:
    sets, names = st.columns(2)
    with sets:
        name = str(st.selectbox("Marker set", known_sets(), key="marker_set", format_func=_title))
        markers = marker_set(name)
        for source in markers.sources:
            st.caption(source)
    with names:
        _choose_set(markers.genes, key="marker_class")


def _choose_own() -> None:
    file = st.file_uploader(
        f"GMT: a name, a source and genes a line (up to {MAX_UPLOAD_MB} MB)",
        type=["gmt", "txt"], max_upload_size=MAX_UPLOAD_MB, key="gmt",
    )  # fmt: skip
    if file is None:
        st.caption(_HALLMARK)
        return
    _choose_set(read_gene_sets(decode_text(file.getvalue(), file.name), file.name), key="gmt_set")


def _choose_set(sets: Mapping[str, WeightedGenes], *, key: str) -> None:
    name = str(st.selectbox("Set", list(sets), key=key))
    genes = sets[name]
    _offer(genes, f"{len(genes.symbols):,} genes", key=key)


def _choose_table() -> None:
    pasted, controls = st.columns([7, 5], gap="medium")
    with pasted:
        text = st.text_area("Paste the table of Seurat, scanpy, DESeq2, edgeR or limma", key="de_text", height=190,
                            placeholder=_EXAMPLE)  # fmt: skip
        file = st.file_uploader("or upload it (CSV or TSV)", type=["csv", "tsv", "txt"], key="de_file",
                                max_upload_size=MAX_UPLOAD_MB)  # fmt: skip
    if file is not None:
        text = decode_text(file.getvalue(), file.name)
    with controls:
        up_side, down_side, rate_side = st.columns(3)
        up = int(up_side.number_input("Genes up", 0, 200, 25, key="de_up"))
        down = int(down_side.number_input("Genes down", 0, 200, 25, key="de_down"))
        rate = float(rate_side.number_input("Adjusted p below", 0.0, 1.0, 0.05, 0.01, key="de_rate"))
        if not str(text).strip():
            st.caption("Columns are found by their names, in any order: gene, log fold change, adjusted or raw p.")
            return
        table = read_expression_table(str(text))
        group = None
        if len(table.group_names) > 1:
            group = str(st.selectbox("Group", table.group_names, key="de_group"))
        genes, rule = table.strongest(up=up, down=down, rate=rate, group=group)
        st.caption(f"{table.said}  \n{rule}")
        _offer(genes, f"{len(genes.symbols):,} genes", key="de")


def _offer(genes: WeightedGenes, count: str, *, key: str) -> None:
    text = str(genes)
    st.code(text, language=None, wrap_lines=True, height=110 if len(text) > 220 else "content")
    st.button(f"Use these {count}", key=f"use-{key}", on_click=_take, args=(text,), type="primary")


def _take(text: str) -> None:
    st.session_state["genes"] = text


def _title(name: str) -> str:
    return name.replace("-", " ").capitalize()
