"""One reader a format. `indexer.formats` lists those a user names; `indexer.sources` picks the one of a data set.

`her2st` and `h5ad_cells` read data sets of the manifest alone; `features` reads tiles with features made elsewhere
(TRIDENT, CLAM, HEST); `pictures` picks the reader of a slide's picture.
"""
