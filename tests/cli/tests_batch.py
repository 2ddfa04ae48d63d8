"""Sweeps and watching: many runs of one workflow in one process."""
import csv
import json
import os
import signal
import struct
import time

from harness import check, contains, same, test
from support import show_text, text_to_image


def rows_of(nodus, name):
    with open(nodus.path(name), newline="") as f:
        return list(csv.DictReader(f))


def size_of(nodus, name):
    with open(nodus.path(name), "rb") as f:
        return struct.unpack(">II", f.read(24)[16:])


@test
def sweep_runs_every_combination_and_writes_sheet_and_table(nodus):
    nodus.write("w.json", text_to_image())
    code, out, err = nodus.run("run", "w.json", "--sweep", "5.seed=1..2", "--sweep", "5.cfg=4,6.5,8")
    same(code, 0, f"the exit status ({err})")
    rows = rows_of(nodus, "output/sweep_00001.csv")
    same([(r["5.seed"], r["5.cfg"]) for r in rows], [(s, c) for s in "12" for c in ("4", "6.5", "8")], "the order")
    check(all(r["status"] == "success" and os.path.exists(nodus.path(r["files"])) for r in rows), f"rows without a picture: {rows}")
    width, height = size_of(nodus, "output/sweep_00001.png")
    check(width > 3 * 64 and height > 2 * 64, f"the sheet has {width}x{height} pixels")
    same(out.splitlines()[-2:], ["output/sweep_00001.png", "output/sweep_00001.csv"], "the last lines")


@test
def sweep_of_twelve_encodes_each_text_once(nodus):
    nodus.write("w.json", text_to_image())
    code, events, _ = nodus.events("run", "w.json", "--sweep", "5.seed=1..4", "--sweep", "5.cfg=4,6,8")
    same(code, 0, "the exit status")
    done = [e["node"] for e in events if e["event"] == "done"]
    same({n: done.count(n) for n in ("1", "2", "3", "5")}, {"1": 1, "2": 1, "3": 1, "5": 12}, "what ran how often")
    same([e["id"] for e in events], list(range(1, len(events) + 1)), "the ids")
    same((events[-1]["event"], events[-1]["runs"]), ("sweep", 12), "the last event")


@test
def sweep_makes_the_folders_that_its_table_goes_to(nodus):
    nodus.write("w.json", show_text())
    code, _, err = nodus.run("run", "w.json", "--sweep", "1.value=1..2", "-o", "a/new/folder")
    same(code, 0, f"the exit status ({err})")
    same([row["1.value"] for row in rows_of(nodus, "a/new/folder/sweep_00001.csv")], ["1", "2"], "the rows")


@test
def sweep_reads_ranges_steps_lists_and_texts(nodus):
    nodus.write("w.json", show_text())
    for given, want in (("1..3", "1 2 3"), ("3..1", "3 2 1"), ("0.5..1:0.25", "0.5 0.75 1"), ("10..0:5", "10 5 0"), ("a,b", "a b"), ("-1..1", "-1 0 1"),
                        ('["a, b", 7]', "a, b|7"), ("18446744073709551614..18446744073709551615", "18446744073709551614 18446744073709551615")):
        code, events, err = nodus.events("run", "w.json", "--sweep", f"1.value={given}")
        same(code, 0, f"the exit status of {given} ({err})")
        got = [row["1.value"] for row in rows_of(nodus, events[-1]["table"])]
        same(got, want.split("|") if "|" in want else want.split(), given)
        same(events[-1]["sheet"], None, "the sheet of texts")


@test
def sweep_says_what_is_wrong_before_it_runs(nodus):
    nodus.write("w.json", show_text())
    for given, message in (("1.value", "takes NODE.input="), ("1.value=0..1000000", "more than 10000 runs"), ("1.value=0.5..1", "needs a step"),
                           ("1.value=1..2:0", "above 0"), ("1.value=[1", "no JSON list"), ("value=1", "takes NODE.input=")):
        code, _, err = nodus.run("run", "w.json", "--sweep", given)
        same(code, 2, given)
        contains(err, message)
    code, _, err = nodus.run("run", "w.json", "--sweep", "1.value=a,b", "--sweep", "1.value=c")
    contains(err, "given twice")
    code, _, err = nodus.run("run", "w.json", "w.json", "--sweep", "1.value=a,b")
    contains(err, "takes one workflow")
    code, _, err = nodus.run("run", "w.json", "--sweep", "9.value=a,b")
    same((code, err.count("no node has the id")), (2, 1), "a node that is not there")


@test
def sweep_keeps_the_rows_of_runs_that_are_refused(nodus):
    nodus.write("w.json", text_to_image())
    code, _, _ = nodus.run("run", "w.json", "--sweep", "5.sampler_name=euler,no_such_sampler")
    same((code, [r["status"] for r in rows_of(nodus, "output/sweep_00001.csv")]), (2, ["success", "invalid"]), "exit status and rows")


@test
def watch_runs_again_at_each_save_and_only_what_changed(nodus):
    nodus.write("w.json", text_to_image())
    process = nodus.start("watch", "w.json", "--json")
    try:
        first = events_of(process)
        same({e["node"] for e in first if e["event"] == "done"}, {"1", "2", "3", "4", "5", "6", "7"}, "what ran first")
        graph = text_to_image()
        graph["5"]["inputs"]["steps"] = 3
        nodus.write("new.json", graph)
        os.rename(nodus.path("new.json"), nodus.path("w.json"))
        second = events_of(process)
        same({e["node"] for e in second if e["event"] == "done"}, {"5", "6", "7"}, "what ran after the save")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    same(process.returncode, 130, "the exit status")


def events_of(process):
    """The events up to the next `finished`."""
    events, end = [], time.time() + 60
    while time.time() < end:
        line = process.stdout.readline()
        check(line, "the program ended")
        events.append(json.loads(line))
        if events[-1]["event"] == "finished":
            return events
    return events
