"""Public data sets: the manifest that names them, and the download that verifies them."""
