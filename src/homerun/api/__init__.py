"""The HTTP edge: the only room that knows Starlette, JSON field names and status codes."""
