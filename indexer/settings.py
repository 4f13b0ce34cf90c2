"""What a machine says about itself: where the data mirror, the cache and the public collections lie."""

from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment, prefix `HISTOSEEK_`.

    Attributes
    ----------
    mirror : str or None
        Folder or http(s) address that holds the manifest's files by their `path`.
    cache_dir : Path
        Where downloads go, and the notes of which files were verified.
    hub_url, gdc_url, gtex_url, gtex_files_url, gtex_slides_url, hgnc_url : str
        Addresses of the Hugging Face hub, the GDC's API, the GTEx portal, its files, its slides, and HGNC's table;
        another one is a mirror that speaks the same.
    """

    model_config = SettingsConfigDict(env_prefix="HISTOSEEK_")

    mirror: str | None = None
    cache_dir: Path = Path("~/.cache/histoseek")
    hub_url: str = "https://huggingface.co"
    gdc_url: str = "https://api.gdc.cancer.gov"
    gtex_url: str = "https://gtexportal.org"
    gtex_files_url: str = "https://storage.googleapis.com/adult-gtex"
    gtex_slides_url: str = "https://brd.nci.nih.gov/brd/imagedownload"
    hgnc_url: str = "https://storage.googleapis.com/public-download-files/hgnc/tsv/tsv/hgnc_complete_set.txt"

    @field_validator("mirror")
    @classmethod
    def _empty_is_none(cls, mirror: str | None) -> str | None:
        return mirror or None

    @field_validator("cache_dir")
    @classmethod
    def _expand_home(cls, cache_dir: Path) -> Path:
        return cache_dir.expanduser()

    @field_validator("hub_url", "gdc_url", "gtex_url", "gtex_files_url", "gtex_slides_url", "hgnc_url")
    @classmethod
    def _without_last_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @property
    def mirror_folder(self) -> Path | None:
        """The mirror where it is a folder."""
        return None if self.mirror is None or self.mirror_url else Path(self.mirror).expanduser()

    @property
    def mirror_url(self) -> str | None:
        """The mirror where it is an http(s) address."""
        is_url = self.mirror is not None and self.mirror.startswith(("http://", "https://"))
        return self.mirror if is_url else None
