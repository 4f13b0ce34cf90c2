"""One reader a format; `indexer.sources.open_sources` picks the one of a data set.

`her2st` legacy Spatial Transcriptomics sections; `h5ad_cells` single cells; `openslide_image` whole-slide images.
`features` reads tiles with features made elsewhere (TRIDENT, CLAM, HEST).
"""
