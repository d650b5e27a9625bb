"""The KV blocks: who holds which, and which prefix each full one contains.

Knows block numbers, reference counts and keys. Does not know what a block's memory looks like.
"""

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b


class BlockPool:
    """Reference-counted blocks of a fixed number of positions, with a prefix cache.

    A block whose count falls to zero keeps its contents until the space is needed; until then
    the next request with the same prefix takes it up again. Least recently used goes first, and
    within a sequence the tail goes before the head, so shared beginnings live longest.
    Only this class frees blocks.
    """

    def __init__(self, num_blocks: int, block_size: int) -> None:
        assert num_blocks > 0
        assert block_size > 0
        self.num_blocks = num_blocks
        self.block_size = block_size
        self._references = [0] * num_blocks
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(num_blocks))
        self._block_of: dict[bytes, int] = {}
        self._key_of: dict[int, bytes] = {}

    @property
    def free_count(self) -> int:
        """Blocks that can be had now, cached contents included."""
        return len(self._free)

    @property
    def cached_count(self) -> int:
        """Blocks whose contents a later prefix can use."""
        return len(self._key_of)

    def blocks_for(self, tokens: int) -> int:
        """Number of blocks that hold `tokens` positions."""
        return -(-tokens // self.block_size)

    def match(self, keys: Sequence[bytes]) -> list[int]:
        """The longest run of cached blocks for `keys`, each now held once more by the caller."""
        found: list[int] = []
        for key in keys:
            block = self._block_of.get(key)
            if block is None:
                break
            found.append(block)
        for block in found:
            if self._references[block] == 0:
                del self._free[block]
            self._references[block] += 1
        return found

    def allocate(self, count: int) -> list[int] | None:
        """`count` blocks with undefined contents, or None (and nothing changed)."""
        if count > len(self._free):
            return None
        taken: list[int] = []
        for _ in range(count):
            block, _ = self._free.popitem(last=False)
            key = self._key_of.pop(block, None)
            if key is not None:
                del self._block_of[key]
            self._references[block] = 1
            taken.append(block)
        return taken

    def publish(self, block: int, key: bytes) -> None:
        """Says that `block` is full and holds the prefix `key`. The first to say so is kept."""
        assert self._references[block] > 0
        if key not in self._block_of and block not in self._key_of:
            self._block_of[key] = block
            self._key_of[block] = key

    def release(self, blocks: Sequence[int]) -> None:
        """Gives back one hold on each block, given in order of position."""
        for block in reversed(blocks):
            assert self._references[block] > 0
            self._references[block] -= 1
            if self._references[block] == 0:
                self._free[block] = None
                if block not in self._key_of:
                    self._free.move_to_end(block, last=False)

    def check_integrity(self, holders: Sequence[Sequence[int]]) -> None:
        """Fails if a block is lost, held without a holder, or free while held.

        `holders` are the block lists of all living sequences.
        """
        held = [0] * self.num_blocks
        for blocks in holders:
            for block in blocks:
                held[block] += 1
        assert held == self._references, "reference counts differ from the holders"
        free = {block for block, count in enumerate(held) if count == 0}
        assert free == set(self._free), "free list differs from the blocks nobody holds"
        assert {self._block_of[key] for key in self._block_of} == set(self._key_of)
        assert all(self._block_of[key] == block for block, key in self._key_of.items())


def next_key(parent: bytes, token_ids: Sequence[int]) -> bytes:
    """Key of a full block: a hash of the key before it and its own tokens (16 bytes)."""
    text = array("i", token_ids).tobytes()
    return blake2b(text, digest_size=16, key=parent).digest()


def root_key(*parts: bytes) -> bytes:
    """Key of the empty prefix: everything besides tokens that decides what K and V are."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
