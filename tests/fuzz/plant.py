#!/usr/bin/env python3
"""plant.py: puts one bug of planted.txt into a copy of a source file.

    plant.py list               prints "TARGET NUMBER FILE KIND" of every bug
    plant.py TARGET NUMBER OUT  writes the changed copy to OUT; an error if the text to change is not there exactly once
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def blocks():
    with open(os.path.join(HERE, "planted.txt"), encoding="utf-8") as f:
        for block in f.read().split("\n\n"):
            lines = [line for line in block.strip().split("\n") if not line.startswith("#")]
            if len(lines) == 3:
                yield lines[0].split(" ", 3), lines[1][2:], lines[2][2:]


def main(arguments):
    if arguments == ["list"]:
        for head, _, _ in blocks():
            print(*head)
        return 0
    target, number, out = arguments
    for head, old, new in blocks():
        if head[:2] != [target, number]:
            continue
        with open(os.path.join(HERE, "..", "..", head[2]), encoding="utf-8") as f:
            source = f.read()
        if source.count(old) != 1:
            sys.exit(f"plant.py: {head[2]} has the text of {target} {number} {source.count(old)} times: {old}")
        with open(out, "w", encoding="utf-8") as f:
            f.write(source.replace(old, new))
        return 0
    sys.exit(f"plant.py: planted.txt has no {target} {number}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
