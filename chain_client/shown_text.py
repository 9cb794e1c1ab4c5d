"""Text from outside, as it can be shown: nothing in it hides, turns or forges other text.

Names of models and reasons come from whoever may write them in the host. A terminal obeys control
characters, and a person does not see characters that have no shape.
"""

from __future__ import annotations

import re
import shlex

_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U0001d159\U000e0100-\U000e01ef]"
)
"""Characters that count as printable and show nothing, or only change the one before."""


def escape_unprintable(text: str, keep: str = "") -> str:
    r"""The text with every character that shows nothing written as an escape, such as ``\u001b``.

    Outside of JSON's strings a backslash of the text itself stays as it is.

    Args:
        text: whatever it holds.
        keep: characters that are let through, such as a line break.
    """
    return "".join(char if char in keep or _shows(char) else _escape(char) for char in text)


def quote_word(text: str) -> str:
    r"""The text as one word of a shell's command line, to be copied into it.

    What shows nothing is written so that bash, ksh and zsh read it (``$'…\x1b'``).
    """
    if all(map(_shows, text)):
        return shlex.quote(text)
    inner = text.replace("\\", "\\\\").replace("'", "\\'")
    return (
        "$'"
        + "".join(
            char if _shows(char) else "".join(f"\\x{byte:02x}" for byte in _utf8(char))
            for char in inner
        )
        + "'"
    )


def _shows(char: str) -> bool:
    return char.isprintable() and not _BLANK.match(char)


def _escape(char: str) -> str:
    data = char.encode("utf-16-be", "surrogatepass")
    units = (int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    return "".join(f"\\u{unit:04x}" for unit in units)


def _utf8(char: str) -> bytes:
    return char.encode("utf-8", "surrogatepass")
