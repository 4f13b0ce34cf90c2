"""Streamlit's options: closed to others, no telemetry, bounded uploads, and how it looks."""

from typing import Any

from app.exposure import is_loopback
from app.serving.theme import theme_flags
from app.uploads import MAX_UPLOAD_MB


def flags(address: str, port: int) -> dict[str, Any]:
    """Options by name, for a server that listens there."""
    found: dict[str, Any] = {
        "server.address": address,
        "server.port": port,
        "server.headless": True,
        "server.maxUploadSize": MAX_UPLOAD_MB,
        "server.fileWatcherType": "none",
        "runner.magicEnabled": False,  # no page shows a bare value
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",  # a traceback tells a user nothing and a stranger too much
        **theme_flags(),
    }
    if is_loopback(address):  # any other name may be a page that was led here by its DNS
        found["server.allowedHosts"] = ["localhost", "127.0.0.1", "::1"]
    return found
