"""The command line. Every command is a module of its own, loaded only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.settings import SettingsError, describe, load_settings


@dataclass(frozen=True, slots=True)
class Command:
    """``target`` is ``module:function``; the function takes (settings, argv) and returns the exit status."""

    target: str
    help: str


COMMANDS: dict[str, Command] = {
    "serve": Command("app.supervisor:serve_command", "all roles on one machine [--ready-file PATH]"),
    "demo": Command("app.demo.command:main", "serve, send the demo studies, print a share link [--data FOLDER]"),
    "web": Command("app.roles:web", "the web role alone"),
    "render": Command("app.roles:render", "the render role alone"),
    "dicom": Command("app.roles:dicom", "the DICOM role alone"),
    "worker": Command("app.roles:worker", "the worker role alone"),
    "import": Command("app.operations.commands:import_files", "take a file or folder of DICOM in through the one door"),
    "verify": Command("app.operations.commands:verify", "check every stored object against its hash"),
    "share": Command("app.delivery.command:share", "share create --study UID [--institution I] --days N --json"),
    "token": Command("app.identity.command:token", "token create --role R [--institution I] [--hours H] --json"),
    "user": Command("app.identity.command:user", "user create|list|reset-password|disable|enable NAME"),
    "institution": Command("app.institutions.command:main", "institution create|list|suspend|resume|path-rule"),
    "bench": Command("benchmarks.cli:main", "bench list | run | compare | report"),
}


def _usage() -> str:
    width = max(len(name) for name in (*COMMANDS, "settings"))
    rows = [f"  {name.ljust(width)}  {command.help}" for name, command in COMMANDS.items()]
    rows.append(f"  {'settings'.ljust(width)}  every setting, its value (secrets hidden) and what it does")
    return "usage: cloudfilm COMMAND …\n\n" + "\n".join(rows)


def _print_settings() -> int:
    for name, value, text in describe(load_settings()):
        print(f"{name}={value}  # {text}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 refused or failed, 2 wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(_usage())
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    try:
        if name == "settings":
            return _print_settings()
        if name not in COMMANDS:
            print(f"cloudfilm: unknown command {name!r}\n\n{_usage()}", file=sys.stderr)
            return 2
        module, _, function = COMMANDS[name].target.partition(":")
        run: Callable[..., int] = getattr(importlib.import_module(module), function)
        return run(load_settings(), rest)
    except SettingsError as error:
        print(f"cloudfilm: {error}", file=sys.stderr)
        return 2


def parser(prog: str, description: str) -> argparse.ArgumentParser:
    """An argument parser of a subcommand."""
    return argparse.ArgumentParser(prog=f"cloudfilm {prog}", description=description)
