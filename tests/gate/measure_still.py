"""The measuring process in a world where no time passes, so that two runs of it leave the same bytes.

Its executor runs trusted code in this very process and notes every program that it was given beside the spec.
"""

import asyncio
import json
import sys
from pathlib import Path

from flywheel.core.clocks import ManualClock
from flywheel.gate.measuring import measure
from flywheel.gate.runs import program_key
from flywheel.gate.specs import read_spec
from flywheel.sandbox.programs import Ending, Run


class NotingExecutor:
    """Does what is asked, notes it first."""

    def __init__(self, note):
        self._note = Path(note)

    async def check(self):
        """Hold."""
        return ""

    async def run(self, program):
        """Run it here."""
        with self._note.open("a") as file:
            file.write(program_key(program) + "\n")
        await asyncio.sleep(0.01)
        names = {}
        exec(program.code, names)  # noqa: S102 - the test's own code
        return tuple(
            Run(ending=Ending.FINISHED, value=json.dumps(names[program.entry](*call.args))) for call in program.calls
        )


measure(read_spec(Path(sys.argv[1])), ManualClock(), NotingExecutor)
