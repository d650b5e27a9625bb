"""What a decoder computes, as a protocol and its implementations."""
