"""What the doctor found, as tables."""

from collections.abc import Sequence

from app.tables.view import Column, TableView
from indexer.doctor.findings import Finding

_SIGNS = {"ok": "ok", "note": "look", "broken": "BROKEN"}


def findings_tables(findings: Sequence[Finding]) -> list[TableView]:
    """A table for each thing that was looked at, a finding on a line."""
    tables = []
    for about in dict.fromkeys(finding.about for finding in findings):
        rows = [
            (_SIGNS[finding.state], finding.what, finding.found, finding.next_step)
            for finding in findings
            if finding.about == about
        ]
        columns = (Column(""), Column(""), Column("found", wrap=True), Column("next step", wrap=True))
        tables.append(TableView(title=about.capitalize(), columns=columns, rows=rows))
    return tables


def verdict(findings: Sequence[Finding]) -> str:
    """The findings in one sentence."""
    counts = {state: sum(finding.state == state for finding in findings) for state in _SIGNS}
    if counts["broken"]:
        return (
            f"{counts['broken']} things that are needed are broken, {counts['note']} to look at, {counts['ok']} fine."
        )
    return f"Nothing needed is broken: {counts['ok']} things fine, {counts['note']} to look at."
