"""Kernels forked from a warm process: real ones, that leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient

from runbook_lib.batch.kernels.forkserver import can_be_warm
from runbook_lib.batch.kernels.local import over_ipc
from runbook_lib.batch.kernels.manager import StartedKernelManager, WarmKernelManager
from tests.patience import PATIENCE_S, until

pytestmark = pytest.mark.skipif(not can_be_warm(), reason="kernels are forked on Linux only")
WAYS = 16  # kernels at a time


@asynccontextmanager
async def kernel(folder, kind="warm", **options):
    manager = (WarmKernelManager if kind == "warm" else StartedKernelManager)(kernel_name="python3", config=over_ipc(folder))
    await manager.start_kernel(extra_arguments=["--HistoryManager.enabled=False"], **options)
    client = AsyncKernelClient(**manager.get_connection_info(session=True), parent=manager)  # the runner's own waits in threads
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=PATIENCE_S)
        yield manager, client
    finally:
        await manager.shutdown_kernel()
        client.stop_channels()


async def value_of(client, code):
    """What `code` prints."""
    printed = []
    await client.execute_interactive(
        code, timeout=PATIENCE_S, output_hook=lambda message: printed.append(message["content"].get("text", ""))
    )
    return "".join(printed).strip()


def within(folder, code, **options):
    async def go():
        async with kernel(folder, **options) as (_, client):
            return await value_of(client, code)

    return asyncio.run(go())


def test_a_kernel_has_the_environment_and_the_folder_it_was_given(tmp_path):
    (tmp_path / "here").mkdir()
    code = (
        "import os; print(os.environ.get('PLACE'), os.environ.get('HOME'), os.getcwd(), os.getsid(0) == os.getpid()); "
        "found = f'/proc/{os.getpid()}/environ'; shown = open(found, 'rb').read() if os.access(found, os.R_OK) else b'PATH='; "
        "print(b'PATH=' in shown, b'canary' in shown, os.environ['INBOUND_SCIM_AUTH0_GRANT'])"
    )
    given = {"PLACE": "mine", "PATH": os.environ["PATH"], "INBOUND_SCIM_AUTH0_GRANT": "canary"}
    words = within(tmp_path, code, env=given, cwd=str(tmp_path / "here"))
    # What it is given on its way never stands where other processes of the user look.
    assert words == f"mine None {tmp_path}/here True\nTrue False canary"


def test_kernels_draw_other_random_numbers(tmp_path):
    code = "import random, numpy; print(random.random(), numpy.random.rand())"
    drawn = [within(Path(tempfile.mkdtemp(dir=tmp_path)), code).split() for _ in range(2)]
    assert len({number for pair in drawn for number in pair}) == 4


def test_the_process_that_is_forked_has_one_thread_and_has_not_chosen_a_progress_bar(tmp_path):
    code = (
        "import os, sys; print(len(os.listdir(f'/proc/{os.getppid()}/task')), [n in sys.modules for n in ('tqdm.auto', 'msal')])"
    )
    assert within(tmp_path, code) == "1 [False, True]"


def test_an_interrupt_ends_the_cell_and_not_the_kernel(tmp_path):
    async def go():
        async with kernel(tmp_path) as (manager, client):
            sleeping = "    print('begun', flush=True)\n    time.sleep(600)"
            code = f"import time\ntry:\n{sleeping}\nexcept KeyboardInterrupt:\n    print('caught')"
            request = client.execute(code)
            while (await client.get_iopub_msg(timeout=PATIENCE_S))["msg_type"] != "stream":
                pass
            await asyncio.sleep(0.05)
            await manager.interrupt_kernel()
            answer = await client.get_shell_msg(timeout=PATIENCE_S)
            assert answer["parent_header"]["msg_id"] == request
            return await value_of(client, "print('alive')")

    assert asyncio.run(go()).endswith("alive")


def test_a_killed_kernel_is_seen_as_dead(tmp_path):
    async def go():
        async with kernel(tmp_path) as (manager, client):
            os.kill(int(await value_of(client, "import os; print(os.getpid())")), signal.SIGKILL)
            deadline = time.monotonic() + PATIENCE_S
            while await manager.is_alive() and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            return await manager.is_alive()

    assert asyncio.run(go()) is False


def test_kernels_outlive_the_warm_process_and_the_next_is_forked_from_a_new_one(tmp_path):
    """multiprocessing takes every kernel for dead when the warm process is killed; one that goes on must not be begun again."""

    async def go():
        (tmp_path / "first").mkdir()
        (tmp_path / "second").mkdir()
        async with kernel(tmp_path / "first") as (manager, client):
            warm = int(await value_of(client, "import os; print(os.getppid())"))
            os.kill(warm, signal.SIGKILL)
            async with kernel(tmp_path / "second") as (_, second):
                new = int(await value_of(second, "import os; print(os.getppid())"))
            seen = await manager.is_alive(), await value_of(client, "print('still here')")
            pid = int(await value_of(client, "import os; print(os.getpid())"))
        return warm, new, seen, pid

    warm, new, seen, pid = asyncio.run(go())
    assert warm != new
    assert seen == (True, "still here")
    assert not is_running(pid)


RUNNER = """
import asyncio, sys
from pathlib import Path
from jupyter_client.asynchronous.client import AsyncKernelClient
from runbook_lib.batch.kernels.local import over_ipc
from runbook_lib.batch.kernels.manager import WarmKernelManager
async def main():
    manager = WarmKernelManager(kernel_name="python3", config=over_ipc(Path(sys.argv[1])))
    await manager.start_kernel()
    client = AsyncKernelClient(**manager.get_connection_info(session=True), parent=manager)
    client.start_channels(); await client.wait_for_ready(timeout=240)
    await client.execute_interactive("import os; print(os.getpid(), os.getppid())",
        output_hook=lambda m: print(m["content"].get("text", ""), end="", flush=True))
    await asyncio.sleep(600)
if __name__ == "__main__":
    asyncio.run(main())
"""


def test_kernels_and_the_warm_process_end_when_the_runner_is_killed(tmp_path):
    (tmp_path / "runner.py").write_text(RUNNER)
    command = [sys.executable, tmp_path / "runner.py", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as runner:
        assert runner.stdout is not None
        pids = [int(word) for word in runner.stdout.readline().split()]
        assert len(pids) == 2
        runner.kill()
    until(lambda: not any(map(is_running, pids)), "the end of the kernel and of the warm process")


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_kernels_started_and_stopped_leave_nothing_behind(tmp_path, trials, figure):
    count = trials(32, 1000)

    async def one(number, gate):
        async with gate:
            folder = Path(tempfile.mkdtemp(dir=tmp_path))
            async with kernel(folder) as (manager, client):
                seen = await value_of(client, f"import os, pandas, msal; print({number}, os.getpid())")
                connection_file = manager.connection_file
            assert not Path(connection_file).exists()
            return seen, list(folder.iterdir())

    async def everyone():
        gate = asyncio.Semaphore(WAYS)
        return await asyncio.gather(*(one(number, gate) for number in range(count)))

    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    answers = asyncio.run(everyone())
    pids = [int(words.split()[1]) for words, _ in answers]
    lost = count - sum(int(words.split()[0]) == number for number, (words, _) in enumerate(answers))
    left = [pid for pid in pids if is_running(pid)]
    files = [path for _, paths in answers for path in paths]
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir()) - before
    figure("kernels started and stopped", f"{count:,}: {lost} lost, {len(left)} processes, {len(files)} sockets or files left")
    assert (lost, left, files) == (0, [], [])
    assert descriptors < 8  # the fork server's own
