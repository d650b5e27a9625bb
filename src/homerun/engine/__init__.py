"""Requests of token ids in, tokens out: batching, paging, sampling. Knows no text and no HTTP."""
