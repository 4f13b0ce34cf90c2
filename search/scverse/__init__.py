"""Verbs on AnnData, as scverse has them: results go into `obsm`, `layers`, `obs` and `uns`, `X` stays as it is."""

from search.scverse.decomposing import decompose
from search.scverse.predicting import predict_expression

__all__ = ["decompose", "predict_expression"]
