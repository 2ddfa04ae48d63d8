"""harness: what a test of the command line is: a function marked @test that takes a Nodus and raises Wrong or Skipped."""
TESTS = []


def test(function):
    TESTS.append((function.__name__.replace("_", " "), function))
    return function


class Wrong(Exception):
    pass


class Skipped(Exception):
    """What a test needs is not on this machine."""


def check(condition, why):
    if not condition:
        raise Wrong(why)


def same(got, want, what="value"):
    check(got == want, f"{what} is {got!r}, expected {want!r}")


def contains(text, piece, where="the message"):
    check(piece in text, f"{where} lacks {piece!r}: {text[-600:]!r}")
