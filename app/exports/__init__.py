"""Answers as files that other programs open."""
