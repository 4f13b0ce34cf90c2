"""Format `slides`: pictures of slides without counts, every one in a folder; their mpp from the file or the table."""

from pathlib import Path

from indexer.errors import ManifestError
from indexer.format import Circumstances, Format, files_at, slide_names
from indexer.readers.pictures import DICOM, PICTURES, named_files
from indexer.readers.table_slide import TableSlide
from indexer.slides import SlideSource


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    paths = files_at(place, (*PICTURES, DICOM), what="slides: svs, ndpi, mrxs, tif, ome.tif, dcm, png, jpg ...")
    dicom = {path.parent for path in paths if path.name.lower().endswith(DICOM)}
    parts = {part for path in paths for part in named_files(path)}  # of Hamamatsu slides, their labels among them
    single = [path for path in paths if not path.name.lower().endswith(DICOM) and path not in parts]
    named = slide_names(single, place, PICTURES)
    for folder in sorted(dicom):  # one slide has a file for each of its levels
        name = folder.resolve().name
        if name in named:
            raise ManifestError(f"{named[name]} and {folder} are both slide {name!r}; rename one of them.")
        named[name] = folder
    return [TableSlide(around.facts(name, technology="histology"), path) for name, path in sorted(named.items())]


FORMAT = Format("slides", "a folder of slide pictures: svs, ndpi, mrxs, DICOM, OME-TIFF, tif, png, jpg", _find)
