"""Work on an index that stands: optimise, edit, tune, take stock."""
