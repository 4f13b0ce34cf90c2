"""A whole slide as DICOM, as a scanner writes it: one file a level, in a folder of their own."""

import struct

import numpy as np

_SLIDE_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_LONG = {"OB", "OW", "SQ", "UN"}


def _element(tag, kind, value):
    if isinstance(value, str):
        value = value.encode() + (b"" if len(value) % 2 == 0 else (b"\0" if kind == "UI" else b" "))
    head = struct.pack("<HH", *divmod(tag, 0x10000)) + kind.encode()
    length = struct.pack("<HI", 0, len(value)) if kind in _LONG else struct.pack("<H", len(value))
    return head + length + value


def _sequence(tag, *elements):
    content = b"".join(elements)
    return _element(tag, "SQ", struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content)


def _short(tag, value):
    return _element(tag, "US", struct.pack("<H", value))


def write_dicom_level(path, pixels, *, mpp, tile=64, series="1.2.3.4", number=1):
    """One level, RGB uint8 `(height, width, 3)`, tiled in full and uncompressed."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % tile), (0, -width % tile), (0, 0)), constant_values=255)
    rows, columns = padded.shape[0] // tile, padded.shape[1] // tile
    frames = padded.reshape(rows, tile, columns, tile, 3).swapaxes(1, 2)
    spacing = f"{mpp / 1000:.6f}\\{mpp / 1000:.6f}"
    name = f"{series}.{number}"
    kind = "ORIGINAL\\PRIMARY\\VOLUME\\NONE" if number == 1 else "DERIVED\\PRIMARY\\VOLUME\\RESAMPLED"
    meta = b"".join(
        [
            _element(0x00020001, "OB", b"\0\1"),
            _element(0x00020002, "UI", _SLIDE_CLASS),
            _element(0x00020003, "UI", name),
            _element(0x00020010, "UI", _EXPLICIT_LITTLE),
            _element(0x00020012, "UI", "1.2.3"),
        ]
    )
    measures = _sequence(0x00289110, _element(0x00280030, "DS", spacing), _element(0x00180050, "DS", "0.001"))
    body = [
        _element(0x00080008, "CS", kind),
        _element(0x00080016, "UI", _SLIDE_CLASS),
        _element(0x00080018, "UI", name),
        _element(0x00080060, "CS", "SM"),
        _element(0x0020000D, "UI", "1.2.3"),
        _element(0x0020000E, "UI", series),
        _element(0x00200052, "UI", "1.2.3.5"),
        _element(0x00209311, "CS", "TILED_FULL"),
        _short(0x00280002, 3),
        _element(0x00280004, "CS", "RGB"),
        _short(0x00280006, 0),
        _element(0x00280008, "IS", str(rows * columns)),
        _short(0x00280010, tile),
        _short(0x00280011, tile),
        _short(0x00280100, 8),
        _short(0x00280101, 8),
        _short(0x00280102, 7),
        _short(0x00280103, 0),
        _element(0x00480006, "UL", struct.pack("<I", width)),
        _element(0x00480007, "UL", struct.pack("<I", height)),
        _element(0x00480303, "UL", struct.pack("<I", 1)),
        _sequence(0x52009229, measures),
        _element(0x7FE00010, "OB", np.ascontiguousarray(frames).tobytes()),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    length = _element(0x00020000, "UL", struct.pack("<I", len(meta)))
    path.write_bytes(bytes(128) + b"DICM" + length + meta + b"".join(body))
