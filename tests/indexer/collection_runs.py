"""Fetching from the server of the tests, and reading what came."""

import csv

from indexer.datasets.catalogue import plan_collection
from indexer.datasets.collection import Selection
from indexer.datasets.receiving import receive_plan
from indexer.settings import Settings


def get(name, folder, *, workers=2, **chosen):
    plan = plan_collection(name, Selection(**chosen), folder=folder)
    return plan, receive_plan(plan, folder, Settings(), workers=workers)


def paths(plan):
    return sorted(file.expected.path for file in plan.files)


def rows(path):
    with path.open(newline="") as stream:
        return {row["slide"]: row for row in csv.DictReader(stream)}
