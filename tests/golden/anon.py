#!/usr/bin/env python3
"""anon.py: the anonymous memory of a command while it runs (a proof by hand; Linux).

    tests/golden/anon.py [--every 0.01] [--marks] -- COMMAND ARGUMENTS…

It samples RssAnon of /proc/PID/status every 10 ms and prints the peak to standard error when the command ends. With --marks the command's
standard output is read as events (nodus run --json): at each `finished` the memory of that moment is printed, and beside the peak stands the
estimate of the `begin` event, with the difference in percent.
"""
import argparse
import json
import subprocess
import sys
import threading
import time


def anonymous(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0


def follow(process, peak, every):
    while process.poll() is None:
        peak[0] = max(peak[0], anonymous(process.pid))
        time.sleep(every)


def main():
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--every", type=float, default=0.01)
    ap.add_argument("--marks", action="store_true")
    args = ap.parse_args(sys.argv[1:split])
    command = sys.argv[split + 1:]
    if not command:
        ap.error("no command after --")
    process = subprocess.Popen(command, stdout=subprocess.PIPE if args.marks else None, text=True)
    peak, estimate = [0], 0
    sampler = threading.Thread(target=follow, args=(process, peak, args.every))
    sampler.start()
    for line in process.stdout or ():
        event = json.loads(line)
        if event["event"] == "begin":
            estimate = max(estimate, event.get("peak_bytes") or 0)
        elif event["event"] == "finished":
            print(f"prompt {event['prompt']}: {event['status']}, {anonymous(process.pid) / 1e6:.1f} MB anonymous", file=sys.stderr)
    sampler.join()
    told = f", estimate {estimate / 1e6:.1f} MB ({100 * (estimate / peak[0] - 1):+.1f} %)" if estimate and peak[0] else ""
    print(f"peak {peak[0] / 1e6:.1f} MB anonymous{told}, exit {process.returncode}", file=sys.stderr)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
