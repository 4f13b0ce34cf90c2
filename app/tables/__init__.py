"""Answers as tables for the terminal and for pages."""
