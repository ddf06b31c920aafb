"""What `pulumi up` runs. The wiring stands in program.py, where tests take it from as well."""

from __future__ import annotations

import pulumi

from infra.program import program

try:
    program()
except ValueError as error:  # a component refused its arguments: one line, as for a setting
    raise pulumi.RunError(str(error)) from None
