# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Text that somebody else wrote, made fit for a line of ours: names, values and a machine's words.

Publishers and peers choose their names and words, at any length and with any characters in them.
Neither may fill a log, break a line in two or send a terminal its control characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NAME_SHOWN = 128  # characters
WORDS_SHOWN = 300  # characters


def printable(text: str, *, escape: bool = False) -> str:
    """Return a text with a question mark, or Python's escape, for each unprintable character."""
    return ''.join(
        one if one.isprintable() else repr(one)[1:-1] if escape else '?' for one in text
    )


def shorten(text: str, most: int = NAME_SHOWN) -> str:
    """Return a text, cut after so many characters."""
    return text if len(text) <= most else f'{text[:most]}...'


def safe_name(name: str) -> str:
    """Return a name as it may be put into a line."""
    return printable(shorten(name))


def safe_words(detail: str) -> str:
    """Return a machine's words as they may be put into a line."""
    return printable(shorten(' '.join(detail[: 2 * WORDS_SHOWN].split()), WORDS_SHOWN))


def is_slip(name: str, meant: str) -> bool:
    """Return whether they differ by one letter: an extra, missing, wrong or swapped one."""
    if abs(len(name) - len(meant)) > 1 or name == meant:
        return False
    at = 0
    while at < min(len(name), len(meant)) and name[at] == meant[at]:
        at += 1
    rest, wanted = name[at:], meant[at:]
    swapped = rest[1::-1] + rest[2:] if len(rest) > 1 else rest
    return rest[1:] == wanted or rest == wanted[1:] or rest[1:] == wanted[1:] or swapped == wanted


def some(names: Sequence[str], most: int) -> str:
    """Return up to ``most`` of the names, separated by commas, and how many more there are."""
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, '1 session' or '2 sessions'."""
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def did_you_mean(name: str, known: Iterable[str], prefix: str = '') -> str:
    """
    Name up to three known names like this one, '; did you mean X or Y?', or say nothing.

    ``prefix`` is put before each of them and takes no part in the comparison.
    """
    import difflib  # most bridges never need it

    near = difflib.get_close_matches(name, list(known), n=3)
    return f'; did you mean {" or ".join(prefix + one for one in near)}?' if near else ''
