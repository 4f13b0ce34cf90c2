"""Slide aggregators: prototypes and shares, and a gated attention in TANGLE's layout, against the model written out."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from encoders.abmil import open_abmil
from encoders.aggregators import PrototypeAggregator, open_aggregator
from encoders.contracts import unit_rows
from encoders.errors import CheckpointError, SpaceMismatchError, UnknownEncoderError, WeightsMissingError

RNG = np.random.default_rng(0)
TILES, DIM, HIDDEN = 9, 12, 6
FEATURES = RNG.normal(size=(TILES, DIM)).astype(np.float32)


class Attention(torch.nn.Module):
    """Gated attention of one head."""

    def __init__(self, n_in, hidden):
        super().__init__()
        self.attention_a = torch.nn.Sequential(torch.nn.Linear(n_in, hidden), torch.nn.Tanh(), torch.nn.Dropout())
        self.attention_b = torch.nn.Sequential(torch.nn.Linear(n_in, hidden), torch.nn.Sigmoid(), torch.nn.Dropout())
        self.attention_c = torch.nn.Linear(hidden, 1)

    def forward(self, tiles):
        return torch.softmax(self.attention_c(self.attention_a(tiles) * self.attention_b(tiles)), dim=0)


class SlideEncoder(torch.nn.Module):
    """A slide encoder in TANGLE's layout, of one head (`heads=0`) or several."""

    def __init__(self, heads):
        super().__init__()
        width = DIM if heads == 0 else HIDDEN
        widths = [(DIM, width), (width, width)] + ([(width, width * heads)] if heads else [])
        layers = []
        for n_in, n_out in widths:
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.LayerNorm(n_out), torch.nn.GELU(), torch.nn.Dropout()]
        self.pre_attn = torch.nn.Sequential(*layers)
        self.heads = heads
        if heads:
            self.attn = torch.nn.ModuleList([Attention(width, HIDDEN) for _ in range(heads)])
            self.proj_multihead = torch.nn.Linear(width * heads, width)
        else:
            self.attn = Attention(width, HIDDEN)

    def forward(self, tiles):
        tiles = self.pre_attn(tiles)
        if not self.heads:
            return (tiles * self.attn(tiles)).sum(dim=0)
        split = tiles.reshape(len(tiles), -1, self.heads)  # n, d, heads
        pooled = torch.stack([(split[..., i] * net(split[..., i])).sum(dim=0) for i, net in enumerate(self.attn)], -1)
        return self.proj_multihead(pooled.reshape(-1))


def saved(folder, heads=0, **changed):
    """A checkpoint with the parts that lie beside a slide encoder, and the model it is of."""
    torch.manual_seed(heads)
    model = SlideEncoder(heads).eval()
    tensors = {f"wsi_embedder.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {"rna_embedder.blocks.2.weight": torch.ones(3, 3), **changed}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: t.contiguous() for name, t in tensors.items() if t is not None}, folder / "model.safetensors")
    return model, folder / "model.safetensors"


@pytest.mark.parametrize("heads", [0, 2])
def test_a_learned_aggregator_gives_what_the_model_gives(tmp_path, heads):
    model, path = saved(tmp_path, heads)
    aggregator = open_aggregator("abmil", weights=path)
    found = aggregator.aggregate(np.empty((TILES, 3), np.float32), FEATURES)
    with torch.inference_mode():
        expected = model(torch.from_numpy(FEATURES)).numpy()
    np.testing.assert_allclose(found.vectors[0], expected / np.linalg.norm(expected), atol=1e-5)
    assert found.shares.tolist() == [1.0]
    assert 0 <= found.nearest[0] < TILES
    assert aggregator.name.startswith("abmil-")
    assert open_aggregator(aggregator.name, weights=path).name == aggregator.name


def test_without_its_weights_a_learned_aggregator_says_where_they_go(monkeypatch, tmp_path):
    monkeypatch.setenv("HISTOSEEK_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissingError, match=r"model\.safetensors or model\.pt.*abmil"):
        open_aggregator("abmil")
    saved(tmp_path / "abmil")
    assert open_aggregator("abmil").modalities == ("image",)


def test_weights_of_another_layout_or_digest_are_refused(tmp_path):
    _, path = saved(tmp_path / "a", **{"wsi_embedder.attn.attention_c.bias": None})
    with pytest.raises(CheckpointError, match=r"1 missing \(first wsi_embedder\.attn\.attention_c\.bias"):
        open_abmil(path)
    _, path = saved(tmp_path / "b", **{"wsi_embedder.extra.weight": torch.ones(1)})
    with pytest.raises(CheckpointError, match="1 unknown"):
        open_abmil(path)
    _, path = saved(tmp_path / "c")
    with pytest.raises(SpaceMismatchError, match="made with abc"):
        open_abmil(path, digest="abc")
    (tmp_path / "c" / "config.json").write_text(json.dumps({"activation": "tanh"}))
    with pytest.raises(CheckpointError, match="activation 'tanh'"):
        open_abmil(path)


def test_a_learned_aggregator_refuses_features_of_another_length(tmp_path):
    aggregator = open_abmil(saved(tmp_path)[1])
    with pytest.raises(SpaceMismatchError, match=r"\(n, 12\); got features of shape \(9, 5\)"):
        aggregator.aggregate(FEATURES, FEATURES[:, :5])
    with pytest.raises(SpaceMismatchError, match="got none"):
        aggregator.aggregate(FEATURES)


def test_prototypes_are_the_planted_kinds_with_their_shares():
    kinds = unit_rows(np.eye(3, 8, dtype=np.float32))
    of = np.repeat([0, 1, 2], [60, 30, 10])
    tiles = unit_rows(kinds[of] + RNG.normal(scale=0.05, size=(100, 8)).astype(np.float32))
    found = PrototypeAggregator(3).aggregate(tiles)
    np.testing.assert_allclose(found.shares, [0.6, 0.3, 0.1])
    assert (np.diag(found.vectors @ kinds.T) > 0.99).all()
    assert of[found.nearest].tolist() == [0, 1, 2]
    again = PrototypeAggregator(3).aggregate(tiles)
    np.testing.assert_array_equal(found.vectors, again.vectors)


@pytest.mark.parametrize("n", [1, 3])
def test_slides_with_fewer_tiles_than_prototypes_keep_every_tile(n):
    tiles = unit_rows(RNG.normal(size=(n, 8)).astype(np.float32))
    found = open_aggregator("prototypes").aggregate(tiles)
    assert sorted(found.nearest.tolist()) == list(range(n))
    assert found.shares.sum() == pytest.approx(1)
    same = open_aggregator("prototypes-4").aggregate(np.repeat(tiles[:1], 9, axis=0))
    np.testing.assert_allclose(same.vectors[0], tiles[0], atol=1e-6)
    assert same.shares.sum() == pytest.approx(1)


def test_the_mean_is_an_aggregator_too():
    tiles = unit_rows(RNG.normal(size=(5, 8)).astype(np.float32))
    found = open_aggregator("mean").aggregate(tiles).vectors
    np.testing.assert_allclose(found, unit_rows(tiles.mean(axis=0)[None]), atol=1e-6)


@pytest.mark.parametrize("name", ["transmil", "prototypes-0", "prototypes-ff", "prototypes-99999", "Mean"])
def test_unknown_aggregators_are_refused(name):
    with pytest.raises(UnknownEncoderError):
        open_aggregator(name)
