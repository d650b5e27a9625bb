"""The block pool as a state machine, and its keys."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from homerun.engine.blocks import BlockPool, next_key, root_key


class Pool(RuleBasedStateMachine):
    """Sequences come, fill blocks with one of a few prefixes and go."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = BlockPool(8, 4)
        self.held: list[list[int]] = []
        self.contents: dict[int, bytes] = {}

    def keys(self, prefix: list[int]) -> list[bytes]:
        keys = [root_key(b"x")]
        for token in prefix:
            keys.append(next_key(keys[-1], [token] * 4))
        return keys[1:]

    @rule(prefix=st.lists(st.integers(0, 2), min_size=1, max_size=6))
    def arrive(self, prefix: list[int]) -> None:
        keys = self.keys(prefix)
        free = self.pool.free_count
        blocks = self.pool.match(keys)
        for block, key in zip(blocks, keys, strict=False):
            assert self.contents[block] == key, "a cached block holds another prefix"
        more = self.pool.allocate(len(keys) - len(blocks))
        if more is None:
            self.pool.release(blocks)
            assert self.pool.free_count == free
            return
        for block, key in zip(more, keys[len(blocks) :], strict=True):
            self.contents[block] = key
            self.pool.publish(block, key)
        self.held.append(blocks + more)

    @rule(count=st.integers(1, 3))
    def take_without_filling(self, count: int) -> None:
        blocks = self.pool.allocate(count)
        if blocks is not None:
            for block in blocks:
                self.contents[block] = b"unfinished"
            self.held.append(blocks)

    @rule(which=st.integers(0, 10))
    def leave(self, which: int) -> None:
        if self.held:
            self.pool.release(self.held.pop(which % len(self.held)))

    @invariant()
    def nothing_is_lost(self) -> None:
        self.pool.check_integrity(self.held)


TestPool = Pool.TestCase
TestPool.settings = settings(max_examples=100, deadline=None)


def test_a_shared_beginning_outlives_its_tail() -> None:
    pool = BlockPool(4, 4)
    keys = [bytes([i]) * 16 for i in range(3)]
    blocks = pool.allocate(3)
    assert blocks is not None
    for block, key in zip(blocks, keys, strict=True):
        pool.publish(block, key)
    pool.release(blocks)
    taken = pool.allocate(3)  # the unused block first, then the tail of the prefix
    assert taken is not None
    assert pool.match(keys) == blocks[:1]


def test_keys_depend_on_everything_before_them() -> None:
    root, other = root_key(b"a", b"bc"), root_key(b"ab", b"c")
    assert root != other
    assert next_key(root, [1, 2]) != next_key(other, [1, 2])
    assert next_key(next_key(root, [1]), [2]) != next_key(next_key(root, [2]), [1])
    assert next_key(root, [1, 2]) == next_key(root, [1, 2])
