"""Which sections a training by contrast learns from, which it is stopped by, and what a batch holds."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from encoders.errors import TrainingError

Rows = npt.NDArray[np.int64]


def split(patients: Sequence[str], stop_on: str) -> tuple[list[int], list[int]]:
    """Numbers of the sections to train on, and of those held out for early stopping.

    Held out is the last section, or all sections of the last patient in alphabetical order.

    Parameters
    ----------
    patients : sequence of str
        One a section.
    stop_on : str
        `section`, `patient` or `none`.

    Raises
    ------
    TrainingError
        If there is only one section or patient.
    """
    every = list(range(len(patients)))
    if stop_on == "none":
        return every, []
    if stop_on == "patient":
        last = max(patients)
        held_out = [i for i in every if patients[i] == last]
        found = f"all {len(patients)} paired sections are of patient {last}"
    else:
        held_out = every[-1:]
        found = f"there is {len(patients)} paired section"
    if len(held_out) == len(every):
        raise TrainingError(
            f"Early stopping on a held-out {stop_on} was asked for, but {found}; give pairs of another {stop_on}, or "
            f"stop on {'a section or ' if stop_on == 'patient' else ''}none."
        )
    return [i for i in every if i not in held_out], held_out


def balanced_batches(
    sizes: Sequence[int], patients: Sequence[str], batch_size: int, rng: np.random.Generator
) -> Iterator[list[tuple[int, Rows]]]:
    """Batches of one epoch: each patient gives the same share of a batch, and each section of a patient too.

    Yields
    ------
    list of (int, int64 (n,))
        Number of a section and the rows drawn from it, without repetition within a batch.
    """
    n_patients = len(set(patients))
    shares = [batch_size / n_patients / patients.count(patient) for patient in patients]
    for _ in range(max(1, round(sum(sizes) / batch_size))):
        batch = []
        for section, (size, share) in enumerate(zip(sizes, shares, strict=True)):
            n = min(size, max(1, round(share)))
            batch.append((section, rng.choice(size, size=n, replace=False)))
        yield batch
