"""What a query or a slide would express: the verbs of prediction, each on one committed state."""

from collections.abc import Sequence

import numpy as np

from encoders.contracts import Modality, Vectors
from search.expression.intervals import check_coverage, with_intervals
from search.expression.many import VectorsAsked, VectorsPrediction, predict_vectors
from search.expression.prediction import Prediction, check_mode, predict, predict_by_ridge
from search.expression.slide_prediction import PlacesAsked, SlidePrediction, predict_places
from search.expression.weighting import Mode
from search.query import Query
from search.retrieval.filters import Exclude
from search.state import State


class Predictions:
    """The predictions of an engine, which says on which state they run."""

    def _current(self) -> State:
        raise NotImplementedError

    def predict_expression(
        self,
        query: Query,
        *,
        genes: Sequence[str] | None = None,
        n_genes: int = 50,
        k: int | None = None,
        mode: Mode = "softmax",
        where: str | None = None,
        exclude: Exclude = "auto",
        coverage: float | None = None,
    ) -> Prediction:
        """Predict expression from the measured profiles of the most similar spots, cells and transcriptomes.

        Parameters
        ----------
        query : Query
            As in `search`; its own slide (a slide's own patient) is left out.
        genes : sequence of str, optional
            Symbols of the panel; by default the `n_genes` predicted furthest above their mean over the index.
        n_genes : int
            Genes shown when none are named.
        k : int, optional
            Neighbours averaged in mode `softmax`; by default, like its temperature, what predicts the other patients of
            the index best (`search.expression.temperature`), the asked one taking no part.
        mode : {"softmax", "mean50", "raw", "mean", "ridge"}
            The first three weigh neighbours (`search.expression.prediction.neighbourhood`). Baselines: `mean`, of all
            items that may answer; `ridge` on image vectors, fitted on all other patients (`search.expression.ridge`).
        where, exclude
            As in `search`.
        coverage : float, optional
            Share of new values that an interval is to hold; it is measured on spots of known counts, each predicted
            from other patients (`search.expression.intervals`), and tells how predictable each gene is.

        Raises
        ------
        QueryError
            If no item with counts is left, no gene is in the panel, the mode is not known, or it has nothing to go by.
        """
        check_mode(mode)
        if coverage is not None:
            check_coverage(coverage, mode)
        state = self._current()
        encoded, background = state.encode(query), state.mean_log_expression
        if mode == "ridge":
            ridge = state.learned.ridge(encoded.patients)
            return predict_by_ridge(state.catalogue, encoded, ridge, background, genes=genes, n_genes=n_genes)
        fit = state.learned.fit(encoded.modality, encoded.patients, mode).with_k(k)
        near = state.with_counts(encoded, k=fit.k, where=where, exclude=exclude)
        found = predict(state.catalogue, encoded, near, background, genes=genes, n_genes=n_genes, mode=mode, fit=fit)
        if coverage is None:
            return found
        place = {gene: column for column, gene in enumerate(state.index.genes)}
        columns = np.array([place[gene] for gene in found.table.column("gene").to_pylist()], dtype=np.int64)
        return with_intervals(found, coverage, state.learned.misses(columns, fit, encoded.patients))

    def predict_slide(  # noqa: PLR0913  # as many as `predict_expression`, and the slide
        self,
        slide: str,
        *,
        genes: Sequence[str] | None = None,
        n_genes: int = 250,
        using: Modality | None = None,
        mode: Mode = "softmax",
        k: int | None = None,
        where: str | None = None,
        exclude: Exclude = "patient",
        predictability: bool = True,
    ) -> SlidePrediction:
        """Predict expression at every tile and spot of a slide at once: maps of genes nobody measured there.

        Parameters
        ----------
        slide : str
            Name of the slide.
        genes : sequence of str, optional
            Symbols of the panel; by default the `n_genes` most expressed over the index.
        using : {"image", "expression"}, optional
            Side of its places to ask with; by default their image where the slide has one.
        mode, k, where
            As in `predict_expression`, with the same numbers.
        exclude : {"auto", "none", "slide", "patient"}
            What does not answer; by default all of the slide's patient.
        predictability : bool
            Whether to measure, in mode `softmax`, how well each gene is predicted on other patients.

        Raises
        ------
        ItemMissingError
            If the slide is not in the index.
        QueryError
            As in `predict_expression`, or if no place of the slide has a vector of that side.
        """
        state = self._current()
        asked = PlacesAsked(slide, using, genes, n_genes, mode, k, where, exclude, predictability)
        return predict_places(state.catalogue, state.learned, state.mean_log_expression, asked)

    def predict_vectors(self, vectors: Vectors, asked: VectorsAsked) -> VectorsPrediction:
        """Predict expression for many vectors of the index's space that were made elsewhere.

        Parameters
        ----------
        vectors : float32 (n, dim)
            Unit vectors.
        asked : VectorsAsked
            Their side, the genes wanted, and how to predict.

        Raises
        ------
        QueryError
            If the vectors are of another dimension, or as in `predict_expression`.
        """
        state = self._current()
        return predict_vectors(state.catalogue, state.learned, vectors, asked)
