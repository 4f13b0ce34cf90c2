"""How far a run is, over its slides and their tiles, of which several are worked on at once."""

from threading import Lock

from indexer.progress import Progress


class RunProgress:
    """Counts slides and tiles of one run and tells a listener; any thread may use it.

    The number of tiles of slides that have not been opened is estimated by the mean of those that have.

    Parameters
    ----------
    listener : Progress
        Is told of `slides`, and of `tiles`.
    n_slides : int
        Slides of the run.
    """

    def __init__(self, listener: Progress, n_slides: int) -> None:
        self._listener = listener
        self._n_slides = n_slides
        self._lock = Lock()
        self._n_done = 0
        self._n_left = n_slides  # neither opened nor done
        self._opened: dict[str, int] = {}
        self._n_pictured = 0
        self._n_patches = 0

    def opened(self, slide: str, n_patches: int) -> None:
        """A slide is open and has so many tiles and spots to encode."""
        with self._lock:
            self._opened[slide] = n_patches
            self._n_left -= 1
            self._n_pictured += n_patches
            self._tell_tiles(slide)

    def encoded(self, slide: str, n: int) -> None:
        """So many more of its patches are encoded."""
        with self._lock:
            self._n_patches += n
            self._tell_tiles(slide)

    def finished(self, slide: str) -> None:
        """A slide is done, whatever became of it."""
        with self._lock:
            self._n_done += 1
            if slide not in self._opened:
                self._n_left -= 1
            self._listener.update("slides", self._n_done, self._n_slides, slide)

    def _tell_tiles(self, slide: str) -> None:
        mean = self._n_pictured / len(self._opened) if self._opened else 0.0
        total = self._n_pictured + round(mean * max(0, self._n_left))
        if total:
            self._listener.update("tiles", min(self._n_patches, total), total, slide)
