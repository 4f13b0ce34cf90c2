"""Errors of showing; the whole tree is drawn in `encoders.errors`."""

from encoders.errors import HistoSeekError


class ShowError(HistoSeekError):
    """An answer was found but a picture, a page or the app could not be made from it."""
