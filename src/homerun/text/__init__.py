"""Strings <-> token ids: tokenizers, chat templates, incremental detokenization."""
