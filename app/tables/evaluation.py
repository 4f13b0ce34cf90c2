"""Figures of an evaluation as tables: one row a method, one column a metric, with interval and gallery."""

from collections.abc import Iterable, Sequence

from app.tables.view import Column, TableView, number
from search.quality.expression_quality import PEARSON
from search.quality.gene_list_quality import LISTS
from search.quality.index_evaluation import NICHE, Evaluation
from search.quality.quality_figures import RANDOM, Figure
from search.quality.retrieval_quality import DIRECTIONS

#: The metric of each kind of question that is quoted and drawn.
RECALL, MACRO_F1 = "R@10%", "macro-F1 @5"
_CLASS = "F1 @"
_Key = tuple[str, str, str]


def evaluation_tables(found: Evaluation) -> list[TableView]:
    """Tables of everything that was measured; kinds of questions that do not compare stand apart."""
    figures = found.figures
    of_class = [figure for figure in figures if figure.metric.startswith(_CLASS)]
    rest = [figure for figure in figures if not figure.metric.startswith(_CLASS)]
    kinds = (
        ("Retrieval between the sides, single spots", _asked(rest, DIRECTIONS), RECALL, _RETRIEVAL),
        ("Retrieval between the sides, niches", _asked(rest, [NICHE + d for d in DIRECTIONS]), RECALL, _NICHES),
        ("Short gene lists to pictures", [f for f in rest if LISTS in f.question], RECALL, _LISTS),
        ("Label retrieval", [f for f in rest if f.question.startswith("label")], MACRO_F1, _LABELS),
        ("Expression prediction", [f for f in rest if f.metric == PEARSON], PEARSON, _PREDICTION),
    )
    tables = [_pivot(title, own, headline, caption) for title, own, headline, caption in kinds if own]
    if of_class:
        tables.append(_pivot("F1 of each class, majority of the first five", of_class, "", ""))
    return tables


def _asked(figures: Iterable[Figure], questions: Sequence[str]) -> list[Figure]:
    return [figure for figure in figures if figure.question in questions]


def _pivot(title: str, figures: Sequence[Figure], headline: str, caption: str) -> TableView:
    metrics = list(dict.fromkeys(figure.metric for figure in figures))
    by_row: dict[_Key, dict[str, Figure]] = {}
    ordered = list(dict.fromkeys(figure.question for figure in figures))
    for figure in sorted(figures, key=lambda f: (ordered.index(f.question), f.group, f.method == RANDOM)):
        by_row.setdefault((figure.question, figure.group, figure.method), {})[figure.metric] = figure
    notes = list(dict.fromkeys(figure.note for figure in figures if figure.note))
    # What all rows share is said once, above the table.
    differs = [len({key[i] for key in by_row}) > 1 for i in range(2)]
    shared = [next(iter(by_row))[i] for i in range(2) if not differs[i]]
    interval = [Column(f"95 % of {_short(headline)}", "right")] if headline else []
    return TableView(
        title=": ".join([title, ", ".join(shared)]) if shared else title,
        columns=(
            *(Column(heading) for heading, kept in zip(("asked", "of"), differs, strict=True) if kept),
            Column("method"),
            *(Column(_short(metric), "right") for metric in metrics),
            *interval,
            Column("queries", "right"),
            Column("gallery", "right"),
        ),
        rows=[
            (*(key[i] for i in range(2) if differs[i]), *_row(key[2], own, metrics, headline))
            for key, own in by_row.items()
        ],
        caption=" ".join([caption, *(f"{note[0].upper()}{note[1:]}." for note in notes)]).strip(),
    )


def _row(method: str, own: dict[str, Figure], metrics: Sequence[str], headline: str) -> tuple[str, ...]:
    one = next(iter(own.values()))
    marked = f"{method} (trained on)" if one.trained_on else method
    cells = [number(own[metric].value) if metric in own else number(None) for metric in metrics]
    if headline:
        cells.append(interval_text(own.get(headline)))
    return (marked, *cells, f"{one.n_queries:,}", f"{one.n_gallery:,}")


def interval_text(figure: Figure | None) -> str:
    """`.233 to .339`, or a dash where there is no interval."""
    if figure is None or figure.low is None or figure.high is None:
        return number(None)
    return f"{number(figure.low)} to {number(figure.high)}"


def _short(metric: str) -> str:
    return (
        metric.split(" (", maxsplit=1)[0].removeprefix("F1 @5 ").replace("majority vote", "vote").replace("mean ", "")
    )


_RETRIEVAL = (
    "Rank of a spot's own partner among all spots of its section. R@k: share of queries ranked in the first k; R@p%: "
    "in the first p percent, rounded up; neither depends on a batch. Ties are ranked last."
)
_NICHES = (
    "Vectors averaged over 7 neighbouring spots (image) and 5 (expression). Neighbours share part of the truth, so "
    "these are not to be compared with single spots."
)
_LISTS = (
    "Rank of a spot's picture in its section, asked with the genes that stand out most in the spot: by z-score over "
    "its section, or by rise of log-expression above its mean."
)
_LABELS = (
    "Every patient's items are answered by the other patients'. mAP@10 divides by min(10, relevant); a vote is the "
    "majority label of the first k, of tied ones the nearest; macro-F1 is the mean over classes."
)
_PREDICTION = (
    "log1p of raw counts, so depth of sequencing counts too. HEST recipe: 50 most variable genes of the training "
    "patients, StandardScaler, PCA, ridge; retrieval averages measured profiles of other patients."
)
