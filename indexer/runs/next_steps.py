"""What to do about a slide that failed, by what went wrong; the reason itself says which value it was."""

from collections.abc import Mapping

_BY_ERROR: Mapping[str, str] = {
    "SlideError": "Get the picture again, or convert it to a pyramidal TIFF",
    "CountsError": "Mend the table of counts, or name the format it is in with --format",
    "JoinError": "See that counts, positions and picture are of the same section and in the same frame",
    "FeaturesError": "Make the features again, or name their layout with --features-format",
    "ManifestError": "Correct the manifest or the table of slides",
    "FetchError": "Fetch the data again: `histoseek data fetch`",
    "UnreachableError": "Set HISTOSEEK_MIRROR to a folder that holds the files, or fetch them where there is a network",
    "PatchError": "State the mpp of the slide: its tiles do not have the size the encoder needs",
    "GeneQueryError": "See that the file names genes by symbol or Ensembl id",
    "OSError": "Check that the disk is there and the file may be read",
    "PermissionError": "Give this account leave to read the file",
    "FileNotFoundError": "Correct the path, or fetch the file again",
}
_OTHERWISE = "Mend what the reason names"
#: The commonest reason of all has a way of its own.
_NO_MPP = "Write a csv with the columns slide, patient_id, mpp and a line for it, and give it with --slides"


def next_step(error: str, reason: str = "") -> str:
    """What to do about an error of this class, whose sentence may tell more."""
    step = _NO_MPP if error == "SlideError" and "has mpp" in reason else _BY_ERROR.get(error, _OTHERWISE)
    return f"{step}; then run the same command again: finished slides are kept."
