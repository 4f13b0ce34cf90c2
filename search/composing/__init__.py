"""Queries made of several things: examples, picture and genes, a region, a group."""
