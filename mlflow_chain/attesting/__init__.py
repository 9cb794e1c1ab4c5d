"""Attesting: where the files of a version lie, and what they are."""
