"""Slides in, rows and sidecars out: the resumable build."""
