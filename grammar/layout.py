"""Text in pieces -> lines of bounded width."""

from __future__ import annotations

WIDTH = 110
_DEPTH_OF_BRACKETS = 16


class Pieces:
    """Text in pieces; a line may be broken before each, best where its depth is least."""

    def __init__(self) -> None:
        self.texts = [""]
        self.depths = [0]
        self.depth = 0

    def write(self, text: str) -> None:
        self.texts[-1] += text

    def piece(self, text: str, level: int = 0) -> None:
        """Begin another piece; a leading blank is dropped where the line is broken."""
        self.texts.append(text)
        self.depths.append(self.depth + level)

    def comma(self) -> None:
        self.write(",")
        self.piece(" ")

    def open(self, text: str) -> None:
        self.write(text)
        self.depth += _DEPTH_OF_BRACKETS

    def close(self, text: str) -> None:
        self.write(text)
        self.depth -= _DEPTH_OF_BRACKETS

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def lines(self, indent: int, width: int = WIDTH) -> list[str]:
        """The text in lines; none goes beyond `width`, if possible, once those after the first are indented."""
        out: list[str] = []
        start = 0
        while start < len(self.texts):
            end = self._end_of_line(start, width - indent if start else width)
            line = "".join(self.texts[start:end])
            out.append(line.lstrip() if start else line)
            start = end
        return out

    def _end_of_line(self, start: int, room: int) -> int:
        """The piece before which the line that begins with piece `start` ends: the outermost break that fits, and of
        several the last; breaks in the first third of the line only if there is no other."""
        filled, end, late = 0, start, start + 1
        while end < len(self.texts) and (filled + len(self.texts[end]) <= room or end == start):
            filled += len(self.texts[end])
            end += 1
            if 3 * filled < room:
                late = end + 1
        if end == len(self.texts):
            return end
        candidates = range(min(late, end), end + 1)
        return min(reversed(candidates), key=lambda number: self.depths[number])
