"""What to do about a slide that failed, by what went wrong; the reason itself says which value it was."""

from collections.abc import Mapping

_BY_ERROR: Mapping[str, str] = {
    "SlideError": "Mend or convert the picture, or state its mpp in the column `mpp` of --slides",
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


def next_step(error: str) -> str:
    """What to do about an error of this class."""
    return f"{_BY_ERROR.get(error, _OTHERWISE)}; then run the same command again: finished slides are kept."
