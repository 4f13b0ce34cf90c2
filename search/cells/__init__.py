"""Cell types of a query."""
