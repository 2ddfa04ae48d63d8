"""tests_repl: the console from a pipe and on a terminal, scripts without the sandbox or with other limits, annotations for editors."""
import os
import select
import signal
import stat
import time

from harness import Skipped, check, contains, same, test


def repl(nodus, text, *args):
    return nodus.run("repl", *args, stdin=text.encode())


@test
def pieces_from_a_pipe_are_run_and_shown(nodus):
    code, out, err = repl(nodus, "x = 3\nx * 2, nil\nfor i = 1, 2 do\nprint(i)\nend\n1 +\n1\n")
    same((code, out, err), (0, "6\tnil\n1\n2\n2\n", ""))


@test
def a_piece_that_fails_does_not_end_the_console(nodus):
    code, out, err = repl(nodus, "error 'mine'\n2\nx = = 1\n3")
    same((code, out), (1, "2\n3\n"))
    contains(err, "stdin:1: mine")
    same(repl(nodus, "x = = 1\n2")[:2], (2, "2\n"))
    code, _, err = repl(nodus, "for i = 1, 2 do\n")
    same(code, 2)
    contains(err, "<eof>")
    same(nodus.run("repl", "file.lua")[0], 2)


@test
def lines_that_are_no_lua_are_left_out(nodus):
    code, out, err = repl(nodus, "print(1)\0 error 'unseen'\nfor i = 1, 2 do\n\0\nprint(2)\n")
    same((code, out), (2, "2\n"))
    same(err.count("a zero byte"), 2)
    code, out, err = repl(nodus, "print(1)\nprint(2) --" + "a" * (17 << 20) + "\nprint(3)\n")
    same((code, out), (2, "1\n"), "a line that is cut must not run")
    contains(err, "more than 16 MiB")
    code, out, _ = repl(nodus, "print(\"\\27[31m\")\n'\\xff'\n(\n" + "(" * 5000 + "\n2\n")
    same((code, out.endswith("2\n")), (2, True))


@test
def the_console_runs_graphs_and_helps(nodus):
    code, out, err = repl(nodus, "n.EmptyImage{ width = 8, height = 8 }.IMAGE:value()\nhelp(n.KSampler)\nhelp 'graph:run'\nn.info 'EmptyImage'\n")
    same(code, 0, err)
    for piece in ("tensor 1 x 8 x 8 x 3", "sampler_name: one of euler", "steps: INT, 1 to 10000, default 20", "n.EmptyImage{"):
        contains(out, piece, "the output")


@test
def a_missing_file_is_named_with_what_there_is(nodus):
    code, _, err = repl(nodus, "n.CheckpointLoaderSimple{}.CLIP:value()\n")
    same(code, 1)
    contains(err, "needs ckpt_name: shapes-sd1.safetensors")


@test
def limits_of_scripts_are_options(nodus):
    nodus.write("s.lua", "local x = 0 while true do x = x + 1 end")
    for option, value, why in (("--script-seconds", "0.2", "its time"), ("--script-instructions", "100000", "its instructions")):
        code, _, err = nodus.run("run", "s.lua", option, value)
        same(code, 1)
        contains(err, why)
    nodus.write("m.lua", "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end")
    code, _, err = nodus.run("run", "m.lua", "--script-memory", "64M")
    same(code, 1)
    contains(err, "memory")
    for option in (["--unsafe"], ["--script-seconds", "3"], ["--script-memory", "64M"], ["--script-instructions", "1000"]):
        code, _, err = nodus.run("run", "w.json", *option)
        same(code, 2)
        contains(err, "is for Lua scripts")


@test
def the_sandbox_is_lifted_only_when_asked(nodus):
    nodus.write("mine.lua", "return { answer = 42 }")
    nodus.write("u.lua", "print(require('mine').answer, io ~= nil, require('nodus').clock() > 0)")
    code, _, err = nodus.run("run", "u.lua")
    same(code, 1)
    contains(err, "there is no module \"mine\"")
    same(nodus.run("run", "u.lua", "--unsafe"), (0, "42\ttrue\ttrue\n", ""))
    same(repl(nodus, "io, os\n")[1], "nil\tnil\n")
    same(repl(nodus, "type(io.open)\n", "--unsafe")[1], "function\n")


@test
def annotations_are_lua_and_name_every_node(nodus):
    code, text, err = nodus.run("nodes", "--luals")
    same((code, err), (0, ""))
    nodus.write("nodus.d.lua", text)
    same(nodus.run("run", "nodus.d.lua"), (0, "", ""))
    import json
    for name in json.loads(nodus.run("nodes", "--json")[1]):
        check(f"function nodus.{name}(inputs) end" in text or f'nodus["{name}"] = ' in text, f"{name} is missing")
    contains(text, '---@field sampler_name? "euler"|', "the file")


@test
def every_function_of_the_library_is_documented_once(nodus):
    code, out, err = repl(nodus, "for name in pairs(n) do if name:find '^[a-z]' then help('n.' .. name) end end\n")
    same((code, err), (0, ""))
    page = nodus.run("reference", "lua")[1]
    headings = [line for line in page.splitlines() if line.startswith("### ")]
    same(sorted(h for h in set(headings) if headings.count(h) > 1), [], "entries that are there twice")
    check(len(headings) > 40, "the page has lost its entries")


class Terminal:
    def __init__(self, nodus, *args):
        import pty
        try:
            self.pid, self.fd = pty.fork()
        except OSError as why:
            raise Skipped(f"no pseudo-terminal on this machine ({why})") from None
        if not self.pid:
            os.chdir(nodus.folder)
            os.execve(nodus.program, [nodus.program, "repl", *args], dict(nodus.env, TERM="xterm", XDG_STATE_HOME=nodus.path("state")))

    def wait(self, piece, seconds=30):
        out, end = "", time.time() + seconds
        while piece not in out:
            check(time.time() < end, f"the terminal lacks {piece!r}: {out[-600:]!r}")
            if select.select([self.fd], [], [], 0.1)[0]:
                out += os.read(self.fd, 65536).decode(errors="replace")
        return out

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def end(self, seconds=30):
        """Ctrl-D until it ends: one that comes before the editor has the terminal is nobody's."""
        end = time.time() + seconds
        try:
            while time.time() < end:
                os.write(self.fd, b"\x04")
                while select.select([self.fd], [], [], 0.5)[0]:
                    if not os.read(self.fd, 65536):
                        break
        except OSError:
            pass
        if time.time() >= end:
            os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@test
def a_terminal_is_not_given_control_characters(nodus):
    for args, shown in ((), "?[31mred??0mx?"), (("--unsafe",), "\x1b[31mred"):
        terminal = Terminal(nodus, *args)
        terminal.wait("> ")
        terminal.type("print('\\27[31m' .. 'red\\7\\u{9b}0mx\\127')\n")
        terminal.wait(shown)
        terminal.type("error('\\27]0;' .. 'title')\n")
        terminal.wait("?]0;title")
        same(terminal.end(), 0)


@test
def a_terminal_has_completion_history_and_ctrl_c(nodus):
    terminal = Terminal(nodus)
    if "cannot be edited" in terminal.wait("> "):
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.end()
        raise Skipped("libedit is not on this machine")
    terminal.type("n.CheckpointLoaderS\t")
    terminal.wait("imple")
    terminal.type("\x03")
    terminal.wait("^C")
    terminal.type("while true do end\n")
    time.sleep(0.5)
    terminal.type("\x03")
    terminal.wait("stdin: cancelled")
    terminal.type("'al' .. 'ive'\n")
    terminal.wait("alive")
    same(terminal.end(), 0)
    path = nodus.path("state/nodus/lua-history")
    with open(path) as f:
        contains(f.read(), "while true do end\n", "the history")
    same(stat.S_IMODE(os.stat(path).st_mode), 0o600)
