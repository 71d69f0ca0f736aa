"""Forked children render: whatever the parent did before, and never wait for threads that are gone."""

import os
import subprocess
import sys
import threading
import time

import pytest

from stylegan.runtime.forks import ForkLock

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")

PATIENCE = 60

# In a process of its own: a hang must not hang the tests, and torch's pool must be as the script leaves it.
SCRIPT = """
import logging, multiprocessing, os, sys, threading, time
import torch
from stylegan import Generator

torch.set_num_threads(2)
before, how = sys.argv[1], sys.argv[2]
G = Generator.from_pretrained("faces-64")
if before != "loaded":
    expected = G.sample(2, output_type="pt")
    torch.randn(512, 512) @ torch.randn(512, 512)
if before == "sampling":
    done = threading.Event()
    def go_on():
        while not done.is_set():
            G.sample(2, output_type="pt")
    thread = threading.Thread(target=go_on)
    thread.start()
    time.sleep(0.2)

def work(_=None):
    assert torch.get_num_threads() == 1
    return G.sample(2, output_type="pt")[:, :, ::8, ::8].tolist()

def fork():
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, repr(work()).encode())
        os._exit(0)
    os.close(write)
    os.wait()
    return eval(open(read).read())

class Samples(torch.utils.data.Dataset):
    def __len__(self):
        return 1
    def __getitem__(self, i):
        return G.sample(2, output_type="pt")[:, :, ::8, ::8]

if how == "os.fork":
    given = fork()
elif how == "multiprocessing":
    with multiprocessing.get_context("fork").Pool(1) as pool:
        given = pool.map(work, [0])[0]
else:
    loader = torch.utils.data.DataLoader(Samples(), batch_size=None, num_workers=1, multiprocessing_context="fork")
    given = next(iter(loader)).tolist()
if before == "sampling":
    done.set()
    thread.join()
assert torch.get_num_threads() == 2
own = G.sample(2, output_type="pt")[:, :, ::8, ::8]
assert (torch.tensor(given) - own).abs().max() < 1e-4
print("the same")
"""


@pytest.mark.parametrize("how", ["os.fork", "multiprocessing", "DataLoader"])
@pytest.mark.parametrize("before", ["loaded", "sampled", "sampling"])
def test_a_forked_child_renders(before: str, how: str) -> None:
    if (before, how) not in (("sampling", "os.fork"), ("loaded", "os.fork")) and before != "sampled":
        pytest.skip("once is enough")
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, before, how]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert result.stdout == "the same\n", result.stderr


def test_locks_are_free_in_a_child_whoever_held_them() -> None:
    lock, held, leave = ForkLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            leave.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(PATIENCE)
    pid = os.fork()
    if pid == 0:
        with lock:
            os._exit(7)
    deadline = time.monotonic() + PATIENCE
    while (status := os.waitpid(pid, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    leave.set()
    thread.join()
    if status == (0, 0):
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status[1]) == 7
    with lock:  # The parent's is as it was.
        pass
