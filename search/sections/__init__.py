"""Sections of one tissue, laid over each other."""
