"""What stands for each slide besides its mean, made from an encoded slide; kept by `indexer.store.aggregates`."""

from collections.abc import Sequence

from pydantic import ValidationError

from encoders.aggregates import Aggregate
from encoders.contracts import Modality
from indexer.building.encoded import EncodedSlide
from indexer.building.items import item_id, patch_ids
from indexer.errors import CardLostError, IndexFormatError, IndexMissingError
from indexer.index import Index
from indexer.store.aggregates import SlideAggregate, read_aggregates
from indexer.store.card import BuildSettings, read_card
from indexer.store.location import Location
from indexer.store.tables import Store


def aggregates_of(encoded: EncodedSlide) -> dict[Modality, SlideAggregate]:
    """What stands for an encoded slide besides its means, by side."""
    found: dict[Modality, SlideAggregate] = {}
    if encoded.image is not None and encoded.image.aggregate is not None:
        found["image"] = _by_id(encoded.image.aggregate, patch_ids(encoded))
    if encoded.expression is not None and encoded.expression.aggregate is not None:
        names = encoded.expression.expression.names
        ids = [item_id(encoded.facts.slide, encoded.kind, name) for name in names]
        found["expression"] = _by_id(encoded.expression.aggregate, ids)
    return found


def _by_id(aggregate: Aggregate, ids: Sequence[str]) -> SlideAggregate:
    items = tuple(ids[row] if row >= 0 else "" for row in aggregate.nearest.tolist())
    return SlideAggregate(aggregate.vectors, aggregate.shares, items)


def stored_aggregator(location: Location) -> str | None:
    """Aggregator of the index at a place, `None` if there is no index or its making was cut short."""
    try:
        return read_card(location).aggregator
    except IndexMissingError:
        return None
    except CardLostError:  # the tables know what they were made with
        try:
            return BuildSettings.model_validate_json(Store.open_latest(location).settings).aggregator
        except (IndexFormatError, ValidationError):
            return None


def aggregate_problems(index: Index) -> list[str]:
    """Sentences about slides of which what stands for them is lost, or is shown by items that are not there."""
    slides, ids = index.slides(), set(index.metadata().column("id").to_pylist())
    problems = []
    for slide, digest in zip(slides["slide"].to_pylist(), slides["content_sha256"].to_pylist(), strict=True):
        try:
            sides = read_aggregates(index.location, digest, slide=slide)
        except IndexFormatError as error:
            problems.append(str(error))
            continue
        shown = {item for side in sides.values() for item in side.items if item}
        if not shown <= ids:
            problems.append(
                f"Slide {slide}: what stands for it is shown by {len(shown - ids)} items that are not there."
            )
    return problems
