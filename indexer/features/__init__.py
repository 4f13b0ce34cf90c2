"""Slides whose tiles were embedded elsewhere, joined to their pictures."""
