"""What the scripts in these folders share: a broker on one core, `loadtest` that drives it on another, and a table of what came out."""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"

# What `loadtest` ends with when it has measured: a run that is valid, and one that is not.
VALID, INVALID = 0, 3


def free_port():
    """One that is free, and the next one too."""
    while True:
        with socket.socket() as one, socket.socket() as next_one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                next_one.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def wait_for(port, process):
    for _ in range(200):
        if process.poll() is not None:
            sys.exit(f"{process.args} ended with {process.returncode}")
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{process.args} does not listen")


def on_core(core, command):
    several = (os.cpu_count() or 1) > 1 and shutil.which("taskset")
    return [str(word) for word in (["taskset", "-c", str(core)] if several else []) + list(command)]


@contextlib.contextmanager
def broker(make_command):
    """A broker on core 0 that listens, as its process and port: what `make_command` makes of a folder and a port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        # Some give up their privileges before they read it.
        os.chmod(folder, 0o755)
        command = on_core(0, make_command(Path(folder), port))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(port, process)
            yield process, port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def load(process, flags, record):
    """Drives the broker from core 1. Gives the record, what `loadtest` ended with, and what it said if that is no record."""
    drive = [TARGET / "loadtest", "pubsub", *flags, "--json", record, "--quiet", "--target-pid", process.pid]
    done = subprocess.run(on_core(1, drive), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    measured = done.returncode in (VALID, INVALID)
    return json.loads(Path(record).read_text()) if measured else None, done.returncode, done.stderr.strip()


def tabulate(doc, what, head, known, row):
    """The script itself: prints a row for each of those that are named, or of all that are `known`, and keeps the table."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar=what.upper(), help=f"one of {', '.join(known)}; default all")
    parser.add_argument("--record", type=Path, metavar="DIR", help="where to keep the records and the table")
    arguments = parser.parse_args()
    for unknown in set(arguments.names) - set(known):
        parser.error(f"there is no {what} {unknown!r}; use one of {', '.join(known)}")
    records = arguments.record or Path(tempfile.mkdtemp(prefix="fanwire-bench-"))
    records.mkdir(parents=True, exist_ok=True)
    lines = head.splitlines()
    print(head)
    for name in arguments.names or known:
        lines.append(row(name, records))
        print(lines[-1], flush=True)
    (records / "table.md").write_text("\n".join(lines) + "\n")
