"""LazySlide's feature extraction on tiles of a slide, in the benchmark's own environment: prints one line of JSON."""

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Tile the slide as HistoSeek does and extract features with the same network."""
    path, stride_um, side_um, side_px, limit = sys.argv[1:]
    from encoders.torchvision_ops import ensure_torchvision_imports

    ensure_torchvision_imports()  # of a PyTorch for the CPU, which the registry's torchvision is not built for
    import lazyslide as zs  # type: ignore[import-not-found]  # in the benchmark's own environment
    import torch

    from encoders.mobilenet import MobileNetTexture

    forward = MobileNetTexture()._load()  # noqa: SLF001  # the network itself, which nothing else hands out

    def network(images: Any) -> Any:
        return forward(images)

    def as_patch(image: Any) -> Any:
        return torch.from_numpy(image)

    slide = zs.open_wsi(path)
    zs.pp.find_tissues(slide)
    mpp = float(side_um) / int(side_px)
    zs.pp.tile_tissues(slide, int(side_px), mpp=mpp, stride_px=round(float(stride_um) / mpp), slide_mpp=0.5)
    slide.shapes["tiles"] = slide.shapes["tiles"].iloc[: int(limit)]
    n = len(slide.shapes["tiles"])
    start, core = time.perf_counter(), time.process_time()
    zs.tl.feature_extraction(slide, network, transform=as_patch, key_added="features", device="cpu", pbar=False)
    found = {"n": n, "wall_s": time.perf_counter() - start, "core_s": time.process_time() - core}
    print(json.dumps(found | {"version": zs.__version__, "file": Path(path).name}))


if __name__ == "__main__":
    main()
