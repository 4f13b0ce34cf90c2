"""Generated sections of known truth, for a demonstration without data."""
