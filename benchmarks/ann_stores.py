"""Vector stores as peers: they keep vectors and metadata, filter by themselves, and give hits with their metadata."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ann_data import TEXT_COLUMNS, Data, Floats, K
from benchmarks.ann_worker import condition, sql

_PART = 10_000


def _parts(data: Data) -> Iterator[tuple[slice, dict[str, list[Any]]]]:
    columns: dict[str, Any] = {name: data.text(name) for name in TEXT_COLUMNS} | {"u": data.u}
    for start in range(0, len(data.vectors), _PART):
        rows = slice(start, min(start + _PART, len(data.vectors)))
        yield rows, {name: values[rows].tolist() for name, values in columns.items()}


class _Lance:
    """LanceDB with scalar indexes on every column that is filtered on."""

    knobs: tuple[Any, ...] = ()
    index: Any = None

    def build(self, data: Data, folder: Path) -> None:
        """Write the table, then its indexes."""
        lancedb, of, pa = import_module("lancedb"), import_module("lancedb.index"), import_module("pyarrow")
        dim = data.vectors.shape[1]
        schema = pa.schema(
            [("row", pa.int64()), ("vector", pa.list_(pa.float32(), dim)), ("u", pa.float32())]
            + [(name, pa.string()) for name in TEXT_COLUMNS]
        )

        def batches() -> Iterator[Any]:
            for rows, columns in _parts(data):
                values = pa.array(np.ascontiguousarray(data.vectors[rows]).ravel())
                columns |= {"row": list(range(rows.start, rows.stop))}
                columns["vector"] = pa.FixedSizeListArray.from_arrays(values, dim)
                arrays = [pa.array(columns[field.name], field.type) for field in schema]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

        database = lancedb.connect(str(folder / type(self).__name__))
        self._table = database.create_table("items", pa.RecordBatchReader.from_batches(schema, batches()))
        self._columns = ["row", "u", *TEXT_COLUMNS, "_distance"]
        n_lists = int(2 ** np.round(np.log2(np.sqrt(len(data.vectors)))))
        self._table.create_index("vector", config=self.made(of, n_lists))
        self._table.create_index("u", config=of.BTree())
        for name in ("organ", "slide"):
            self._table.create_index(name, config=of.Bitmap())

    def made(self, of: Any, n_lists: int) -> Any:
        """The vector index."""
        raise NotImplementedError

    def limited(self, search: Any, knob: Any) -> Any:
        """The search with a setting."""
        raise NotImplementedError

    def ask(self, query: Floats, name: str, own: str, knob: Any) -> list[int]:
        """One search, filtered beforehand."""
        search = self._table.search(query).distance_type("cosine").limit(K).select(self._columns)
        where = sql(name, own)
        if where is not None:
            search = search.where(where, prefilter=True)
        rows: list[int] = self.limited(search, knob).to_arrow().column("row").to_pylist()
        return rows

    def ask_many(self, queries: Floats, knob: Any) -> list[list[int]]:
        """One batch, as LanceDB offers it."""
        search = self._table.search(queries).distance_type("cosine").limit(K).select([*self._columns])
        found = self.limited(search, knob).to_arrow()
        rows: list[list[int]] = [[] for _ in queries]
        for row, query in zip(found.column("row").to_pylist(), found.column("query_index").to_pylist(), strict=True):
            rows[query].append(row)
        return rows


class LanceRq(_Lance):
    """IVF with RaBitQ codes: its best index by the measurements of this project."""

    knobs: tuple[Any, ...] = ((8, 5), (16, 5), (32, 10), (64, 10), (128, 20), (512, 20), (2_048, 40))

    def made(self, of: Any, n_lists: int) -> Any:
        """With 5 bits, as its default index of that kind has."""
        return of.IvfRq(distance_type="cosine", num_partitions=n_lists, num_bits=5)

    def limited(self, search: Any, knob: Any) -> Any:
        """Lists probed and factor of re-ranked rows."""
        return search.nprobes(knob[0]).refine_factor(knob[1])


class LanceDefaults(LanceRq):
    """The same index asked as its documentation's first example does."""

    knobs = ("defaults",)

    def limited(self, search: Any, knob: Any) -> Any:  # noqa: ARG002
        """Nothing set."""
        return search


class LanceHnsw(_Lance):
    """Graphs in lists, on scalar-quantised vectors."""

    knobs = ((1, 64, 2), (2, 100, 4), (4, 200, 10), (16, 400, 20), (2_048, 800, 40))

    def made(self, of: Any, n_lists: int) -> Any:
        """One list for 100,000 rows."""
        return of.HnswSq(distance_type="cosine", num_partitions=max(1, n_lists // 64))

    def limited(self, search: Any, knob: Any) -> Any:
        """Lists probed, depth in a graph, factor of re-ranked rows."""
        return search.nprobes(knob[0]).ef(knob[1]).refine_factor(knob[2])


class QdrantEdge:
    """Qdrant embedded in the process, with payload indexes."""

    knobs = (16, 48, 128, 256, 512, 1_024)

    def build(self, data: Data, folder: Path) -> None:
        """Insert, index the payload, then optimise."""
        q = self._qdrant = import_module("qdrant_edge")
        place = folder / "qdrant"
        place.mkdir()
        hnsw = q.HnswIndexConfig(m=24, ef_construct=120, full_scan_threshold=1_000)
        config = q.EdgeConfig(
            vectors=q.EdgeVectorParams(size=data.vectors.shape[1], distance=q.Distance.Cosine), hnsw_config=hnsw
        )
        self._shard = q.EdgeShard.create(str(place), config)
        kinds = q.PayloadSchemaType
        for name, kind in (("u", kinds.Float), ("organ", kinds.Keyword), ("slide", kinds.Keyword)):
            self._shard.update(q.UpdateOperation.create_field_index(name, kind))
        for rows, columns in _parts(data):
            vectors = data.vectors[rows].tolist()
            points = [
                q.Point(rows.start + i, vector, {name: values[i] for name, values in columns.items()})
                for i, vector in enumerate(vectors)
            ]
            self._shard.update(q.UpdateOperation.upsert_points(points))
        self._shard.optimize()

    def ask(self, query: Floats, name: str, own: str, knob: Any) -> list[int]:
        """One query with its payload."""
        return [int(point.id) for point in self._shard.query(self._request(query, name, own, knob))]

    def ask_many(self, queries: Floats, knob: Any) -> list[list[int]]:
        """One planned batch."""
        requests = [self._request(query, "unfiltered", "", knob) for query in queries]
        found = self._shard.query_batch(self._qdrant.QueryBatchRequest(requests))
        return [[int(point.id) for point in points] for points in found]

    def _request(self, query: Floats, name: str, own: str, knob: Any) -> Any:
        q = self._qdrant
        return q.QueryRequest(
            limit=K,
            query=q.Query.Nearest(query.tolist()),
            with_payload=True,
            filter=self._filter(condition(name, own)),
            params=q.SearchParams(hnsw_ef=knob),
        )

    def _filter(self, found: tuple[str, str, Any] | None) -> Any:
        if found is None:
            return None
        q, (column, operator, value) = self._qdrant, found
        if operator == "<":
            return q.Filter(must=[q.FieldCondition(column, range=q.RangeFloat(lt=value))])
        equal = [q.FieldCondition(column, match=q.MatchValue(value))]
        return q.Filter(must=equal) if operator == "=" else q.Filter(must_not=equal)


class Chroma:
    """Chroma on disk."""

    knobs = (64, 256, 1_024)

    def build(self, data: Data, folder: Path) -> None:
        """Add all rows."""
        chromadb, config = import_module("chromadb"), import_module("chromadb.config")
        quiet = config.Settings(anonymized_telemetry=False)
        client = chromadb.PersistentClient(path=str(folder / "chroma"), settings=quiet)
        settings = {"hnsw": {"space": "cosine", "max_neighbors": 24, "ef_construction": 120, "ef_search": 64}}
        self._items = client.create_collection("items", configuration=settings)
        step = min(5_000, int(client.get_max_batch_size()))
        for rows, columns in _parts(data):
            for start in range(0, rows.stop - rows.start, step):
                part = range(start, min(start + step, rows.stop - rows.start))
                self._items.add(
                    ids=[str(rows.start + i) for i in part],
                    embeddings=data.vectors[rows][part.start : part.stop],
                    metadatas=[{name: values[i] for name, values in columns.items()} for i in part],
                )
        self._ef = 64

    def ask(self, query: Floats, name: str, own: str, knob: Any) -> list[int]:
        """One query with its metadata."""
        if knob != self._ef:
            self._items.modify(configuration={"hnsw": {"ef_search": knob}})
            self._ef = knob
        where = None
        if (found := condition(name, own)) is not None:
            column, operator, value = found
            where = {column: {{"<": "$lt", "=": "$eq", "!=": "$ne"}[operator]: value}}
        hits = self._items.query(
            query_embeddings=query[None], n_results=K, where=where, include=["metadatas", "distances"]
        )
        return [int(item) for item in hits["ids"][0]]

    def ask_many(self, queries: Floats, knob: Any) -> list[list[int]]:  # noqa: ARG002
        """One call."""
        hits = self._items.query(query_embeddings=queries, n_results=K, include=["metadatas", "distances"])
        return [[int(item) for item in items] for items in hits["ids"]]


class MilvusLite:
    """Milvus in a local process of its own."""

    knobs = (64, 256, 1_024)

    def build(self, data: Data, folder: Path) -> None:
        """Insert, then index."""
        milvus = import_module("pymilvus")
        self._client = milvus.MilvusClient(str(folder / "milvus.db"))
        schema = self._client.create_schema(auto_id=False)
        schema.add_field("row", milvus.DataType.INT64, is_primary=True)
        schema.add_field("vector", milvus.DataType.FLOAT_VECTOR, dim=data.vectors.shape[1])
        schema.add_field("u", milvus.DataType.FLOAT)
        for name in TEXT_COLUMNS:
            schema.add_field(name, milvus.DataType.VARCHAR, max_length=64)
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="HNSW", metric_type="COSINE", params={"M": 24, "efConstruction": 120})
        self._client.create_collection("items", schema=schema, index_params=index)
        for rows, columns in _parts(data):
            vectors = data.vectors[rows]
            for start in range(0, len(vectors), 2_000):
                part = range(start, min(start + 2_000, len(vectors)))
                rows_of = [
                    {"row": rows.start + i, "vector": vectors[i]} | {name: columns[name][i] for name in columns}
                    for i in part
                ]
                self._client.insert("items", rows_of)
        self._client.flush("items")
        self._client.load_collection("items")

    def ask(self, query: Floats, name: str, own: str, knob: Any) -> list[int]:
        """One search with its fields."""
        found = condition(name, own)
        where = ""
        if found is not None:
            column, operator, value = found
            where = f"{column} {'==' if operator == '=' else operator} {value!r}"
        return self._search(query[None], where, knob)[0]

    def ask_many(self, queries: Floats, knob: Any) -> list[list[int]]:
        """One call."""
        return self._search(queries, "", knob)

    def _search(self, queries: Floats, where: str, knob: Any) -> list[list[int]]:
        found = self._client.search(
            "items",
            data=queries.tolist(),
            limit=K,
            filter=where,
            output_fields=["u", *TEXT_COLUMNS],
            search_params={"metric_type": "COSINE", "params": {"ef": knob}},
        )
        return [[int(hit["row"]) for hit in hits] for hits in found]
