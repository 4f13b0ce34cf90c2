"""Classes of tiles and spots, by marker genes or by bulk profiles, and the regions they form."""
