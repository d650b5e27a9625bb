"""Knows only that the small worlds of the corpus live here; refuses to import any of them."""
