"""Format `slides`: pictures of slides without counts, every one in a folder; their mpp from the file or the table."""

from pathlib import Path

from indexer.format import Circumstances, Format, files_at, slide_names
from indexer.readers.pictures import PICTURES
from indexer.readers.table_slide import TableSlide
from indexer.slides import SlideSource


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    paths = files_at(place, PICTURES, what="slides: svs, ndpi, mrxs, tif, ome.tif, png, jpg ...")
    named = slide_names(paths, place, PICTURES)
    return [TableSlide(around.facts(name, technology="histology"), path) for name, path in named.items()]


FORMAT = Format("slides", "a folder of slide pictures: svs, ndpi, mrxs, OME-TIFF, tif, png, jpg", _find)
