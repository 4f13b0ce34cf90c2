"""What genes a query expresses, predicted from what is like it."""
