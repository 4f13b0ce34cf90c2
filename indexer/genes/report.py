"""What became of the gene identifiers of a slide, and of all slides of a data set together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from indexer.genes.species import Species

Fate = Literal["mapped", "renamed", "ambiguous", "no ortholog", "unknown", "dropped"]
FATES: tuple[Fate, ...] = ("mapped", "renamed", "ambiguous", "no ortholog", "unknown", "dropped")

_N_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class GeneReport:
    """What became of the gene identifiers of one slide or data set.

    Attributes
    ----------
    species : str
        `human`, `mouse` or `unknown`, told from the identifiers.
    genes : dict
        By fate, each identifier with the symbol it has now (empty where dropped): `mapped` kept its name, `renamed` got
        the current symbol of its id, alias or ortholog, `ambiguous` has several and kept its name, `no ortholog` is a
        mouse gene without a human one and kept its name, `unknown` is in no table and kept its name, `dropped` is no
        gene.
    summed : tuple of str
        Symbols that several columns had, whose counts were added up.
    with_tables : bool
        Whether any table of gene names was at hand.
    """

    species: Species
    genes: Mapping[Fate, tuple[tuple[str, str], ...]]
    summed: tuple[str, ...] = ()
    with_tables: bool = True

    @property
    def counts(self) -> dict[Fate, int]:
        """Number of identifiers by fate."""
        return {fate: len(self.genes[fate]) for fate in FATES}

    def examples(self, fate: Fate) -> list[str]:
        """A few identifiers of a fate, with the symbol they have now where it is another."""
        return [
            f"{old or '(empty)'} -> {new}" if new not in {"", old} else old or "(empty)"
            for old, new in self.genes[fate][:_N_EXAMPLES]
        ]

    def sentence(self) -> str:
        """The report in one line: counts, and examples of all that is not plainly mapped."""
        parts = [f"{len(self.genes['mapped']):,} mapped"]
        parts += [
            f"{len(self.genes[fate]):,} {fate} ({', '.join(self.examples(fate))})"
            for fate in FATES[1:]
            if self.genes[fate]
        ]
        if self.summed:
            parts.append(f"{len(self.summed):,} symbols summed ({', '.join(self.summed[:_N_EXAMPLES])})")
        total = sum(self.counts.values())
        without = "" if self.with_tables else "; no table of gene names was used, so names are kept"
        return f"{total:,} genes, species {self.species}: {', '.join(parts)}{without}"

    def as_row(self) -> dict[str, Any]:
        """Plain values for json or a table: species, a count for each fate, `summed`, and `examples` by fate."""
        examples: dict[str, list[str]] = {str(fate): self.examples(fate) for fate in FATES[1:] if self.genes[fate]}
        if self.summed:
            examples["summed"] = list(self.summed[:_N_EXAMPLES])
        counts = {fate.replace(" ", "_"): n for fate, n in self.counts.items()}
        return {"species": self.species, **counts, "summed": len(self.summed), "examples": examples}


@runtime_checkable
class ReportsGenes(Protocol):
    """A source that says what became of its genes, once `read_expression` has run."""

    def gene_report(self) -> GeneReport | None:
        """The report of what was read last, or `None`."""


def sum_up(rows: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """What became of the genes of many slides, in a sentence for each species.

    Parameters
    ----------
    rows : mapping of str to mapping
        By slide, `GeneReport.as_row`.

    Returns
    -------
    tuple of str
        Counts are from the fewest to the most of any slide; examples are those of the first slides that have some.
    """
    by_species: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows.values():
        by_species.setdefault(str(row["species"]), []).append(row)
    return tuple(_of_species(species, alike) for species, alike in sorted(by_species.items()))


def _of_species(species: str, rows: list[Mapping[str, Any]]) -> str:
    parts = []
    for fate in (*FATES, "summed"):
        counts = [int(row[fate.replace(" ", "_")]) for row in rows]
        if not any(counts):
            continue
        examples: list[str] = next((row["examples"][fate] for row in rows if fate in row["examples"]), [])
        span = f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
        parts.append(f"{span} {fate}" + (f" ({', '.join(examples)})" if examples else ""))
    slides = "1 slide" if len(rows) == 1 else f"{len(rows):,} slides"
    return f"Genes of {slides}, species {species}: {', '.join(parts) or 'none'}."
