"""What every command has: a help, exit statuses, mistakes on standard error, colours only where there is a terminal."""

import os
import pty
import subprocess
import sys

import pytest

from attnc.cli import commands

from .conftest import WRONG_MESSAGE

COMMANDS = sorted(commands.commands)


def test_there_is_a_file_for_each_command():
    from pathlib import Path

    import attnc.cli

    here = {path.stem for path in Path(attnc.cli.__file__).parent.glob("*.py")}
    assert set(COMMANDS) == here - {"__init__", "arguments", "options", "colours"}


def test_help_of_all(attnc):
    found = attnc("--help")
    assert found.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in found.stdout
    assert not any(line.endswith("...") for line in found.stdout.splitlines()[1:])  # nothing is cut short
    assert attnc("-h").stdout == found.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each(attnc, name):
    found = attnc(name, "--help")
    assert found.exit_code == 0 and not found.stderr
    assert found.stdout.startswith(f"Usage: attnc {name} ")
    assert all(len(line) <= 80 for line in found.stdout.splitlines())
    options = [param for param in commands.commands[name].params if param.param_type_name == "option"]
    assert all(option.help for option in options)


def test_no_command_is_a_request_for_help(attnc):
    found = attnc()
    assert found.exit_code == 2 and "Usage: attnc" in found.output


def test_version(attnc):
    import attnc as package

    assert attnc("--version").stdout == f"attnc {package.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("compile",), ("check",), ("check", "--fast", "good.attn"), ("show", "good.attn", "--stage", "ptx")]
)
def test_what_is_not_understood_exits_with_2(attnc, arguments):
    found = attnc(*arguments)
    assert found.exit_code == 2 and not found.stdout and "Error: " in found.stderr


@pytest.mark.parametrize("name", ["check", "fmt", "show", "explain", "verify"])
def test_a_missing_file(attnc, name):
    found = attnc(name, "none.attn")
    assert found.exit_code == 1 and not found.stdout
    assert found.stderr == "error[unreadable-file]: 'none.attn' cannot be read: No such file or directory\n"


@pytest.mark.parametrize("name", ["check", "show", "explain", "verify"])
def test_a_wrong_spec(attnc, name):
    found = attnc(name, "wrong.attn")
    assert (found.exit_code, found.stdout, found.stderr) == (1, "", WRONG_MESSAGE)


@pytest.mark.parametrize("name", ["show", "explain"])
def test_a_folder_where_one_file_is_wanted(attnc, folder, name):
    found = attnc(name, folder)
    assert found.exit_code == 1 and found.stderr.endswith("cannot be read: Is a directory\n")


@pytest.mark.parametrize("name", ["check", "fmt", "verify"])
def test_a_folder_without_specs(attnc, folder, name):
    (folder / "empty").mkdir()
    found = attnc(name, "empty")
    assert found.exit_code == 1
    assert found.stderr == "error[no-specs]: there is no .attn file in 'empty' or below it\n"


@pytest.mark.parametrize("name", ["show", "explain"])
def test_one_of_several_attentions(attnc, name):
    found = attnc(name, "several.attn")
    assert found.exit_code == 1
    assert found.stderr == (
        "error[which-attention]: 'several.attn' holds several attentions\n"
        "  = help: choose one with '--name': one, two\n"
    )
    assert attnc(name, "several.attn", "--name", "two").exit_code == 0
    found = attnc(name, "several.attn", "--name", "too")
    assert found.exit_code == 1 and found.stderr.startswith("error[unknown-attention]: there is no attention 'too'")


# --- colours -------------------------------------------------------------------------------------------------------


def test_no_colours_in_a_pipe(attnc):
    for arguments in (("check", "wrong.attn"), ("explain", "good.attn"), ("fmt", "--check", "untidy.attn")):
        assert "\x1b" not in attnc(*arguments).output


def test_colours_change_no_text(attnc, monkeypatch):
    import click

    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = attnc("check", "wrong.attn", color=True).stderr
    assert "\x1b[31m" in coloured and click.unstyle(coloured) == WRONG_MESSAGE
    monkeypatch.setenv("NO_COLOR", "1")
    assert attnc("check", "wrong.attn", color=True).stderr == WRONG_MESSAGE


def on_terminal(folder, *arguments, **variables):
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from attnc.cli import main; main()", *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | variables
    child = subprocess.Popen(command, cwd=folder, stdout=theirs, stderr=theirs, stdin=theirs, env=environment)
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 4096):
            parts.append(part)
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    child.wait()
    return b"".join(parts).decode()


def test_colours_on_a_terminal(folder):
    assert "\x1b[31m" in on_terminal(folder, "check", "wrong.attn")
    assert on_terminal(folder, "check", "wrong.attn", NO_COLOR="1").replace("\r\n", "\n") == WRONG_MESSAGE


def test_the_reader_of_a_pipe_may_leave(folder):
    code = "from attnc.cli import main; main()"
    command = f'"{sys.executable}" -c "{code}" check good.attn good.attn several.attn | true'
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
