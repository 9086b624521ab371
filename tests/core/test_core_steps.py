"""Every boundary between durable changes has a name of its own, so that a test can die at each once."""

from flywheel.core.steps import Steps


def test_boundaries_are_counted_within_what_is_being_done() -> None:
    """The names tell what is done and how many changes it has made; the count begins anew each time."""
    heard: list[str] = []
    steps = Steps(heard.append)
    for _ in range(2):
        steps.enter("train.start_run")
        for _ in range(2):
            steps.wrote("before")
            steps.wrote("after")
        steps.leave()
    steps.wrote("before")
    once = ["begin", "before write 1", "after write 1", "before write 2", "after write 2", "end"]
    assert heard == [f"train.start_run: {moment}" for moment in once] * 2 + ["outside: before write 1"]


def test_nobody_has_to_listen() -> None:
    """In service the boundaries are passed in silence."""
    steps = Steps()
    steps.enter("x")
    assert [steps.reached("y"), steps.leave()] == [None, None]
