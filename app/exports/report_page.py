"""The gallery as one HTML file that holds all its pictures and tables, so that it can be sent by itself."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from app.exports.report_section import NamedFigure, Section
from app.tables.view import TableView

_STYLE = """
:root { color-scheme: light; }
body { margin: 0; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
       color: #1b1f24; background: #f6f7f8; }
header, main, footer { max-width: 1180px; margin: 0 auto; padding: 0 28px; }
header { padding-top: 40px; }
h1 { font-size: 30px; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 21px; margin: 0 0 4px; letter-spacing: -0.005em; }
nav { margin: 18px 0 6px; display: flex; flex-wrap: wrap; gap: 8px; }
nav a { padding: 4px 12px; border: 1px solid #d5dade; border-radius: 999px; background: #fff; font-size: 14px; }
a { color: #0072b2; text-decoration: none; } a:hover { text-decoration: underline; }
section { background: #fff; border: 1px solid #e3e7ea; border-radius: 10px; padding: 24px 26px; margin: 22px 0; }
p.asked { margin: 0 0 16px; color: #5b6670; }
figure { margin: 18px 0 26px; }
figure img { max-width: 100%; height: auto; display: block; border: 1px solid #eceff1; border-radius: 6px; }
figcaption { font-size: 14px; color: #5b6670; margin-top: 8px; }
div.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; margin: 6px 0; white-space: nowrap; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid #d5dade; padding: 5px 16px 5px 0; }
td { border-bottom: 1px solid #eceff1; padding: 4px 16px 4px 0; font-variant-numeric: tabular-nums; }
th.right, td.right { text-align: right; }
.wrap { white-space: normal; min-width: 12em; }
p.caption { font-size: 13px; color: #5b6670; margin: 4px 0 20px; max-width: 95ch; }
h3 { font-size: 15px; margin: 18px 0 4px; }
.notice { border-left: 5px solid #d55e00; background: #fff5ee; padding: 10px 16px; margin: 14px 0; border-radius: 4px; }
footer { padding-bottom: 50px; font-size: 13px; color: #5b6670; }
"""


def gallery_page(
    *,
    title: str,
    introduction: str,
    notices: Sequence[str],
    sections: Sequence[Section],
    folder: Path,
    about: Sequence[TableView],
) -> str:
    """HTML of the gallery.

    Parameters
    ----------
    title, introduction : str
        Heading of the page and the sentence below.
    notices : sequence of str
        What the reader must know first, such as that the data were generated.
    sections : sequence of Section
        Questions in order; their pictures lie in `folder` as PNG.
    folder : Path
        Where the pictures lie.
    about : sequence of TableView
        What the index holds and what each stage took, at the end.
    """
    links = "".join(f'<a href="#{escape(s.key)}">{escape(s.title.split(":", maxsplit=1)[0])}</a>' for s in sections)
    warnings = "".join(f'<p class="notice">{escape(notice)}</p>' for notice in notices)
    body = "".join(_section(section, folder) for section in sections)
    closing = "".join(_table(view) for view in about)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1><p>{escape(introduction)}</p>{warnings}<nav>{links}</nav></header>\n"
        f'<main>{body}<section id="about"><h2>What was searched, and what it took</h2>{closing}</section></main>\n'
        "<footer>Written by <code>histoseek demo</code>.</footer>\n</body>\n</html>\n"
    )


def _section(section: Section, folder: Path) -> str:
    figures = "".join(_figure(figure, folder) for figure in section.figures)
    tables = "".join(_table(view) for view in section.tables)
    return (
        f'<section id="{escape(section.key)}"><h2>{escape(section.title)}</h2>'
        f'<p class="asked">{escape(section.asked)}</p>{figures}{tables}</section>\n'
    )


def _figure(figure: NamedFigure, folder: Path) -> str:
    picture = base64.b64encode((folder / f"{figure.name}.png").read_bytes()).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{picture}" alt="{escape(figure.caption)}">'
        f"<figcaption>{escape(figure.caption)} <code>{escape(figure.name)}.png</code></figcaption></figure>"
    )


def _table(view: TableView) -> str:
    kinds = [f' class="{column.align}{" wrap" if column.wrap else ""}"' for column in view.columns]
    heads = "".join(f"<th{kind}>{escape(c.heading)}</th>" for kind, c in zip(kinds, view.columns, strict=True))
    rows = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in view.rows
    )
    caption = f'<p class="caption">{escape(view.caption)}</p>' if view.caption else ""
    return (
        f'<h3>{escape(view.title)}</h3><div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{caption}"
    )
