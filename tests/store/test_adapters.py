"""Stored adapters: states, accounts, files that appear whole and go with their last user."""

import errno
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from homerun.errors import AdapterNotFound, AdapterRefused, ConfigurationError, StorageFull
from homerun.store import adapter_files
from homerun.store.adapters import ASSETS, PUBLIC_PREFIX, AdapterState, AdapterStore, StoredAdapter

MODEL = "@cf/google/gemma-2b-it-lora"
CONFIG, WEIGHTS = ASSETS


@pytest.fixture
def store(tmp_path: Path) -> AdapterStore:
    return AdapterStore(tmp_path)


def make(store: AdapterStore, name: str = "mine", account: str = "local", **more) -> StoredAdapter:
    return store.create(account, name, MODEL, "", public=more.pop("public", False), limit=100)


def put(store: AdapterStore, adapter: StoredAdapter, asset: str, data: bytes) -> StoredAdapter:
    with store.new_file() as file:
        file.write(data)
        return store.put(adapter.id, asset, file)


def ready(store: AdapterStore, name: str = "mine", data: bytes = b"w", **more) -> StoredAdapter:
    adapter = make(store, name, **more)
    put(store, adapter, CONFIG, b"{}")
    return store.settle(put(store, adapter, WEIGHTS, data), None)


def files(store: AdapterStore, home: Path) -> set[str]:
    return set(os.listdir(home / "adapters")) if (home / "adapters").exists() else set()


def test_from_new_to_ready(store: AdapterStore):
    adapter = make(store)
    assert (adapter.state, adapter.assets, adapter.version) == (AdapterState.NEW, {}, None)
    adapter = put(store, adapter, WEIGHTS, b"weights")
    assert adapter.state is AdapterState.UPLOADING
    assert not adapter.complete
    adapter = put(store, adapter, CONFIG, b"{}")
    assert adapter.complete
    assert adapter.config_path.read_bytes() == b"{}"
    assert adapter.weights_path.read_bytes() == b"weights"
    adapter = store.settle(adapter, None)
    assert adapter.state is AdapterState.READY
    assert len(adapter.version or "") == 64
    assert adapter.modified_at >= adapter.created_at
    assert store.get("local", "mine") == store.get("local", adapter.id) == adapter


def test_a_ready_one_cannot_be_edited_and_a_failed_one_can(store: AdapterStore, tmp_path: Path):
    adapter = ready(store)
    before = files(store, tmp_path)
    with pytest.raises(AdapterRefused, match="assets cannot be edited"):
        put(store, adapter, CONFIG, b"other")
    assert files(store, tmp_path) == before
    bad = make(store, "bad")
    put(store, bad, CONFIG, b"1")
    failed = store.settle(put(store, bad, WEIGHTS, b"2"), "rank 99")
    assert (failed.state, failed.reason, failed.version) == (AdapterState.FAILED, "rank 99", None)
    again = put(store, failed, CONFIG, b"3")
    assert (again.state, again.reason) == (AdapterState.UPLOADING, None)
    assert store.settle(again, None).state is AdapterState.READY
    assert len(files(store, tmp_path)) == 4  # the replaced one is gone


def test_a_check_of_files_that_were_replaced_meanwhile_settles_nothing(store: AdapterStore):
    adapter = make(store)
    put(store, adapter, CONFIG, b"1")
    checked = put(store, adapter, WEIGHTS, b"2")
    put(store, adapter, WEIGHTS, b"3")
    assert store.settle(checked, None).state is AdapterState.UPLOADING


def test_the_version_is_of_the_content(store: AdapterStore):
    one, two, three = (
        ready(store, name, data) for name, data in zip("abc", (b"x", b"x", b"y"), strict=True)
    )
    assert one.version == two.version != three.version
    store.delete("local", "a")
    again = ready(store, "a", b"other")
    assert again.id != one.id
    assert again.version != one.version


def test_accounts_do_not_see_each_other(store: AdapterStore):
    mine = ready(store, "same", account="one")
    theirs = ready(store, "same", account="two")
    assert store.get("one", "same").id == mine.id
    assert store.get("two", "same").id == theirs.id
    for call in (store.get, store.delete):
        with pytest.raises(AdapterNotFound, match=mine.id):
            call("two", mine.id)
    assert [one.id for one in store.all("one")] == [mine.id]


def test_public_ones_are_everybodys_to_use_and_their_owners_to_delete(store: AdapterStore):
    name = f"{PUBLIC_PREFIX}x"
    public = ready(store, name, account="one", public=True)
    unready = make(store, f"{PUBLIC_PREFIX}y", "one", public=True)
    assert store.get("two", name) == store.get("two", public.id) == public
    assert [one.id for one in store.public()] == [public.id]
    assert unready.public
    assert store.all("two") == []
    with pytest.raises(AdapterRefused, match="exists already"):
        make(store, name, "two")
    with pytest.raises(AdapterNotFound):
        store.delete("two", name)
    store.delete("one", name)
    assert store.public() == []


def test_names_are_taken_once_and_accounts_have_a_limit(store: AdapterStore):
    make(store)
    with pytest.raises(AdapterRefused, match="called mine exists already"):
        make(store)
    store.create("local", "two", MODEL, "", public=False, limit=2)
    with pytest.raises(AdapterRefused, match="has 2 finetunes, the most"):
        store.create("local", "three", MODEL, "", public=False, limit=2)
    store.create("other", "three", MODEL, "", public=False, limit=2)


def test_a_deleted_one_goes_at_once_and_its_files_with_the_last_user(
    store: AdapterStore, tmp_path: Path
):
    adapter = ready(store, data=b"in use")
    first, second = store.hold(adapter), store.hold(adapter)
    store.delete("local", "mine")
    with pytest.raises(AdapterNotFound):
        store.get("local", "mine")
    with pytest.raises(AdapterNotFound):
        store.hold(adapter)
    store.sweep()
    assert adapter.weights_path.read_bytes() == b"in use"
    first.close()
    first.close()
    assert adapter.weights_path.read_bytes() == b"in use"
    second.close()
    assert files(store, tmp_path) == set()


def test_a_look_for_garbage_keeps_nobody_from_a_file(
    store: AdapterStore, monkeypatch: pytest.MonkeyPatch
):
    adapter = ready(store)
    looking, wanting, go_on = threading.Event(), threading.Event(), threading.Event()
    is_named, hold = store._is_named, store._files.hold

    def slowly(name: str) -> bool:
        looking.set()
        assert go_on.wait(10)
        return is_named(name)

    def wanted(name: str) -> int | None:
        wanting.set()
        return hold(name)

    with ThreadPoolExecutor(2) as pool, monkeypatch.context() as patched:
        patched.setattr(store, "_is_named", slowly)
        sweep = pool.submit(store.sweep)
        assert looking.wait(10)
        patched.setattr(store, "_is_named", is_named)
        patched.setattr(store._files, "hold", wanted)
        holding = pool.submit(store.hold, adapter)
        assert wanting.wait(10)
        time.sleep(0.05)
        go_on.set()
        sweep.result()
        holding.result().close()


def test_another_process_keeps_files_too(store: AdapterStore, tmp_path: Path):
    adapter = ready(store)
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from homerun.store.adapters import AdapterStore\n"
        "store = AdapterStore(Path(sys.argv[1]))\n"
        "lease = store.hold(store.get('local', 'mine'))\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        store.delete("local", "mine")
        assert adapter.weights_path.exists()
        holder.kill()  # a lock ends with its process, whatever becomes of it
    store.sweep()
    assert not adapter.weights_path.exists()


def test_uploads_that_end_midway_leave_nothing(store: AdapterStore, tmp_path: Path):
    make(store)
    with store.new_file() as file:
        file.write(b"half")
        assert len(files(store, tmp_path)) == 1
        store.sweep()  # another process starts meanwhile
        assert len(files(store, tmp_path)) == 1
    assert files(store, tmp_path) == set()


def test_files_of_a_killed_process_are_swept(store: AdapterStore, tmp_path: Path):
    kept = ready(store)
    for name in (".unfinished-0", "0" * 32):
        (tmp_path / "adapters" / name).write_bytes(b"left behind")
    store.sweep()
    assert files(store, tmp_path) == {one.path.name for one in kept.assets.values()}


def test_a_symlink_among_the_files_is_not_followed(store: AdapterStore, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    adapter = ready(store)
    adapter.weights_path.unlink()
    adapter.weights_path.symlink_to(secret)
    with pytest.raises(OSError, match=r"symbolic link|levels"):
        store.hold(adapter)
    store.delete("local", "mine")
    store.sweep()
    assert secret.read_bytes() == b"secret"


def test_a_full_disk_is_told_and_leaves_nothing(
    store: AdapterStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    adapter = make(store)

    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("write", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(adapter_files.os, name, full)
            with pytest.raises(StorageFull, match="disk is full"):
                put(store, adapter, CONFIG, b"data")
        assert files(store, tmp_path) == set()
    assert store.get("local", "mine").state is AdapterState.NEW


def test_what_is_committed_is_there_for_another_process(store: AdapterStore, tmp_path: Path):
    adapter = ready(store)
    assert AdapterStore(tmp_path).get("local", "mine") == adapter
    mode = os.stat(adapter.weights_path).st_mode & 0o777
    assert (mode, os.stat(tmp_path / "adapters").st_mode & 0o777) == (0o600, 0o700)


def test_a_home_that_is_a_file_is_told(tmp_path: Path):
    (tmp_path / "home").write_bytes(b"")
    with pytest.raises(ConfigurationError):
        AdapterStore(tmp_path / "home").all("local")


class Registry(RuleBasedStateMachine):
    """Any order of calls against a dictionary: visible is exactly what was acknowledged."""

    NAMES = st.sampled_from(["a", "b", "c"])

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.directory = tempfile.TemporaryDirectory()
        self.home = Path(self.directory.name)
        self.store = AdapterStore(self.home)
        self.model: dict[str, tuple[str, AdapterState, dict[str, bytes]]] = {}
        self.leases: list[tuple[object, bytes]] = []

    @rule(name=NAMES)
    def create(self, name: str) -> None:
        if name in self.model:
            with pytest.raises(AdapterRefused):
                make(self.store, name)
        else:
            self.model[name] = (make(self.store, name).id, AdapterState.NEW, {})

    @rule(name=NAMES, asset=st.sampled_from(ASSETS), data=st.binary(max_size=9), good=st.booleans())
    def upload(self, name: str, asset: str, data: bytes, good: bool) -> None:
        if name not in self.model:
            return
        adapter_id, state, held = self.model[name]
        adapter = self.store.get("local", name)
        if state is AdapterState.READY:
            with pytest.raises(AdapterRefused):
                put(self.store, adapter, asset, data)
            return
        stored = put(self.store, adapter, asset, data)
        held = {**held, asset: data}
        state = AdapterState.UPLOADING
        if stored.complete:
            self.store.settle(stored, None if good else "bad")
            state = AdapterState.READY if good else AdapterState.FAILED
        self.model[name] = (adapter_id, state, held)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if self.model.pop(name, None) is None:
            with pytest.raises(AdapterNotFound):
                self.store.delete("local", name)
        else:
            self.store.delete("local", name)

    @rule(name=NAMES)
    def hold(self, name: str) -> None:
        if name in self.model and self.model[name][1] is AdapterState.READY:
            lease = self.store.hold(self.store.get("local", name))
            self.leases.append((lease, self.model[name][2][WEIGHTS]))

    @precondition(lambda self: self.leases)
    @rule()
    def release(self) -> None:
        lease, data = self.leases.pop()
        assert lease.adapter.weights_path.read_bytes() == data
        lease.close()

    @rule()
    def restart(self) -> None:
        for lease, _ in self.leases:
            lease.close()
        self.leases = []
        self.store = AdapterStore(self.home)
        self.store.sweep()
        named = sum(len(held) for _, _, held in self.model.values())
        assert len(files(self.store, self.home)) == named

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        found = {one.name: one for one in self.store.all("local")}
        assert found.keys() == self.model.keys()
        for name, (adapter_id, state, held) in self.model.items():
            one = found[name]
            assert (one.id, one.state) == (adapter_id, state)
            assert {asset: kept.path.read_bytes() for asset, kept in one.assets.items()} == held
        for lease, _ in self.leases:
            lease.close()
        self.store._database.close()
        self.directory.cleanup()


TestRegistry = Registry.TestCase
TestRegistry.settings = hypothesis_settings(max_examples=15, stateful_step_count=20, deadline=None)
