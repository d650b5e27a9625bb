"""Where a download waits until it is imported. Knows names of directories, nothing of hubs."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote


@dataclass(frozen=True, slots=True)
class Download:
    """One repository at one commit, on its way."""

    repo: str
    commit: str
    directory: Path

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return sum(path.stat().st_size for path in self.directory.iterdir() if path.is_file())


def downloads_directory(home: Path) -> Path:
    return home / "downloads"


def download_of(home: Path, repo: str, commit: str) -> Download:
    """Where it lies, or will."""
    name = f"{quote(repo, safe='')}@{commit}"
    return Download(repo, commit, downloads_directory(home) / name)


def unfinished_downloads(home: Path) -> list[Download]:
    """All that are here, by name; none where nobody may look."""
    try:
        paths = sorted(downloads_directory(home).iterdir())
    except OSError:
        return []
    names = [path.name.rpartition("@") for path in paths if path.is_dir()]
    return [download_of(home, unquote(repo), commit) for repo, _, commit in names if repo]
