"""Which items answer: filters, the plan, ranking, p-values, and slides compared part by part."""
