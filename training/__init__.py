"""Knows only that this folder is the package that makes rookie; refuses to import anything."""
