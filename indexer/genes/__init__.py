"""Gene identifiers: the panel of an index, names made current, aliases."""
