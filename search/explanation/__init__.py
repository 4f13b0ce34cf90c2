"""Why an item is a hit of a query: genes, pictures, examples, parts of slides."""
