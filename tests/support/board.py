"""A board, as mpremote's installer sees it (CPython only)."""

from __future__ import annotations

import hashlib
from pathlib import Path


class Board:
    """What mpremote's installer asks of a board, played by a directory."""

    def __init__(self, directory: Path) -> None:
        """Play it by `directory`."""
        self.directory = directory

    def exec(self, command: str) -> bytes:
        assert command == "import sys"
        return b""

    def eval(self, expression: str) -> int:
        assert "_mpy" in expression
        return 6

    def fs_exists(self, path: str) -> bool:
        return (self.directory / path).exists()

    def fs_mkdir(self, path: str) -> None:
        (self.directory / path).mkdir()

    def fs_writefile(self, path: str, data: bytes, **_: object) -> None:
        (self.directory / path).write_bytes(data)

    def fs_hashfile(self, path: str, algorithm: str) -> bytes:
        return hashlib.new(algorithm, (self.directory / path).read_bytes()).digest()
