# SPDX-License-Identifier: Apache-2.0
"""What happened when, in seconds since the storm began: told on the terminal, kept in a file, shown with every failure."""

import threading
import time
from pathlib import Path


class Timeline:
    """Any thread may tell."""

    def __init__(self, file: Path, *, aloud: bool = False) -> None:
        self._began = time.monotonic()
        self._file = file
        self._aloud = aloud
        self._lock = threading.Lock()
        self.lines: list[str] = []
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")

    def now(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def tell(self, text: str) -> None:
        """Write down what has just happened."""
        line = f"{self.now():7.2f}  {text}"
        with self._lock, self._file.open("a") as file:
            self.lines.append(line)
            file.write(line + "\n")
            if self._aloud:
                print(line, flush=True)
