"""Runs all cases of the Autobahn test suite in shards, two at a time, and judges the whole.

    all_cases.py OUT server URL            the suite's client against the server at URL
    all_cases.py OUT client COMMAND...     the suite's server against the client that COMMAND starts

Exit status 0 means 514 OK and the 3 cases on which the suite takes no side, and nothing else. Each
shard's verdicts and log, and the suite's own page for each case, stay in the folder OUT.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

# The compressed cases take most of the time, so they start first; the rest is mostly waiting.
SHARDS = [
    *("13.%d" % i for i in range(1, 8)),
    *("12.%d" % i for i in range(1, 6)),
    "1,2,3,4,5,6,7,10",
    "9",
]
WORKERS = 2
# Far above what a shard takes, so that a peer that hangs ends the run.
SHARD_SECONDS = 15 * 60
CASES = 517
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run_autobahn.py")


def command_of(mode, target, cases, folder):
    """The runner's command line for one shard."""
    options = ["--cases", cases, "--agent", "fanwire", "--strict", "--quiet",
               "--report", os.path.join(folder, "report-" + cases), "--json", verdicts_path(folder, cases)]
    if mode == "server":
        return [sys.executable, RUNNER, "server-under-test", *options, *target]
    return [sys.executable, RUNNER, "client-under-test", *options, "--", *target]


def verdicts_path(folder, cases):
    return os.path.join(folder, cases + ".json")


def run_shard(mode, target, cases, folder):
    """Runs one shard; returns what is wrong with the run itself (None if nothing)."""
    started = time.monotonic()
    log_path = os.path.join(folder, cases + ".log")
    with open(log_path, "wb") as log:
        try:
            status = subprocess.run(command_of(mode, target, cases, folder), stdout=log,
                                    stderr=subprocess.STDOUT, timeout=SHARD_SECONDS).returncode
        except subprocess.TimeoutExpired:
            status = "none within %d s" % SHARD_SECONDS
    print("cases %-18s %4d s   status %s" % (cases, time.monotonic() - started, status), flush=True)
    return None if status == 0 else "cases %s: exit status %s, see %s" % (cases, status, log_path)


def verdicts_of(folder, cases):
    """The shard's cases, as the runner's JSON has them."""
    try:
        with open(verdicts_path(folder, cases), encoding="utf-8") as f:
            agents = json.load(f)["agents"]
    except FileNotFoundError:
        return []
    return [case for agent in agents.values() for case in agent["cases"]]


def print_table(cases):
    """One row per category, one column per verdict."""
    columns = ["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "FAILED", "MISSING"]
    rows = {}
    for case in cases:
        rows.setdefault(int(case["id"].split(".")[0]), Counter())[case["verdict"]] += 1
    rows = [(str(category), row) for category, row in sorted(rows.items())]
    rows.append(("all", sum((row for _, row in rows), Counter())))
    print("\n%-8s" % "category" + "".join("%15s" % column for column in columns))
    for name, row in rows:
        print("%-8s" % name + "".join("%15d" % row[column] for column in columns))


def complaints_about(cases):
    """What stands between these verdicts and a pass."""
    ids = {case["id"] for case in cases}
    if len(ids) != CASES or len(cases) != CASES:
        yield "%d verdicts on %d cases instead of %d" % (len(cases), len(ids), CASES)
    for case in cases:
        wanted = "INFORMATIONAL" if case["id"] in INFORMATIONAL else "OK"
        if case["verdict"] != wanted:
            yield "%s is %s: %s / %s" % (case["id"], case["verdict"],
                                         case.get("result", ""), case.get("resultClose", ""))


def main():
    if len(sys.argv) < 4 or sys.argv[2] not in ("server", "client"):
        sys.exit(__doc__)
    folder, mode, target = sys.argv[1], sys.argv[2], sys.argv[3:]
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with ThreadPoolExecutor(WORKERS) as workers:
        broken = list(workers.map(lambda cases: run_shard(mode, target, cases, folder), SHARDS))
    cases = [case for shard in SHARDS for case in verdicts_of(folder, shard)]
    print_table(cases)
    complaints = [*filter(None, broken), *complaints_about(cases)]
    for complaint in complaints:
        print(complaint)
    totals = Counter(case["verdict"] for case in cases)
    print("%d cases: %s" % (len(cases), ", ".join("%d %s" % (n, v) for v, n in totals.most_common())))
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
