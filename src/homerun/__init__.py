"""homerun: Workers AI text generation on machines people own."""

__version__ = "0.1.0.dev0"
