"""The maths of a decoder and the files it is read from; knows nothing of requests or text."""
