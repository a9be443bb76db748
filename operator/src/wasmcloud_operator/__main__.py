"""`python -m wasmcloud_operator`."""

from __future__ import annotations

from wasmcloud_operator.cli import main

if __name__ == "__main__":
    main()
