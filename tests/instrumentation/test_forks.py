"""A fork amid what another thread of ours does: the child has what it needs, and nothing of its parent's."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")

AT_A_FORK = """
    import os, sys, threading, warnings
    from pathlib import Path
    from types import SimpleNamespace

    warnings.simplefilter("ignore")
    folder, at_it, forked = Path(sys.argv[1]), threading.Event(), threading.Event()

    def fork_now():
        '''In the thread that is at it: on once there is a child, or once it is clear that there is none meanwhile.'''
        at_it.set()
        forked.wait(1)

    def between(act):
        '''A child, forked while another thread does that; it lives until its input ends.'''
        thread = threading.Thread(target=act)
        thread.start()
        at_it.wait()
        (reading, writing), (is_there, there) = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.write(there, b".")
            return SimpleNamespace(pid=0, wait=lambda: os.read(reading, 1))
        os.close(reading)
        os.read(is_there, 1)
        forked.set()
        thread.join()
        return SimpleNamespace(pid=child, end=lambda: (os.close(writing), os.waitpid(child, 0))[1][1])
"""


def run(code: str, folder: Path) -> None:
    whole = textwrap.dedent(AT_A_FORK) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", whole, str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["outlay.exchange", "http.client", "encodings.idna"])
def test_a_child_can_ask_the_collector_though_its_parent_was_about_to_for_the_first_time(
    module: str, tmp_path: Path
) -> None:
    run(
        f"""
        from outlay.budgets.lease import LeaseRequest
        from outlay.budgets.remote import Remote, Unreachable
        from outlay.post import Later, Post
        from outlay.settings import read_settings

        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name == {module!r} and not at_it.is_set():
                    fork_now()

        def ask():
            try:
                Post(read_settings({{"OUTLAY_ENDPOINT": "http://127.0.0.1:9"}})).calls(b"calls", 30)
            except Later:
                pass
            try:
                Remote("http://127.0.0.1:9", None).lease(LeaseRequest(holder="h"), 30)
            except Unreachable:
                pass

        sys.meta_path.insert(0, Finder())
        child = between(ask)
        if child.pid == 0:
            ask()
            os._exit(0)
        sys.exit(child.end())
        """,
        tmp_path,
    )


OPENING = """
        import outlay.{module}
        from outlay.estate import estates
        from outlay.settings import read_settings
        from outlay.spool import Spool, lock
        from outlay.tally import Loss, Tally

        settings = read_settings({{"OUTLAY_SPOOL_DIR": str(folder)}})

        def spool():
            tally = Tally("shop", None, 100)
            return Spool(settings, folder, tally)

        {left}

        def lock_slowly(descriptor):
            lock(descriptor)
            fork_now()

        outlay.{module}.lock = lock_slowly
        child = between({act})
        if child.pid == 0:
            child.wait()
            os._exit(0)
        {end}
        (tally,) = folder.glob("*.tally")
        lock(os.open(tally, os.O_RDWR))
        sys.exit(child.end())
"""
LEFT = """dead = spool()
        dead.open()
        dead.close(keep=True)"""
OWN = OPENING.format(
    module="spool",
    left="""own = spool()

        def leave_to_parent():
            own._tally.leave_to_parent()
            own.leave_to_parent()

        os.register_at_fork(after_in_child=leave_to_parent)""",
    act="own.open",
    end="leave_to_parent()",
)
TAKEN = OPENING.format(
    module="estate", left=LEFT, act="lambda: [each.leave() for each in estates(settings, 'mine', 0)]", end=""
)


@pytest.mark.parametrize("code", [OWN, TAKEN], ids=["its own", "a dead one's"])
def test_files_a_process_was_just_opening_stay_its_own(code: str, tmp_path: Path) -> None:
    """They are locked for as long as anybody has them open: a child that had would keep others from sending them."""
    run(code, tmp_path)
