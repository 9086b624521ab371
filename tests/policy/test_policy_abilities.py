"""A line that asks its trainer for what it does not do is told of by file and key."""

from pathlib import Path

import pytest

from flywheel.policy.loading import check_policies, load_policies

LINE = 'why = "w"\nbase = "tiny"\ngate = "g"\nrollout = "r"\n'


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    for folder in ("guardrails", "lines", "gates", "rollouts"):
        (tmp_path / folder).mkdir()
    (tmp_path / "gates" / "g.toml").write_text('why = "w"\n')
    (tmp_path / "rollouts" / "r.toml").write_text('why = "w"\n')
    return tmp_path


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ('[train]\nbackend = "tlr"\n', "train.backend (the program that trains): there is no backend 'tlr'"),
        ('[train]\nbackend = "mlx"\ntechnique = "kto"\n', "train.technique (the way of training): the mlx backend"),
        ('[train.hyperparameters]\nvariant = "dora"\n', "train.hyperparameters.variant ("),
        ('[train]\nbackend = "mlx"\n[dataset]\ncurriculum = true\n', "a curriculum would be lost"),
    ],
)  # fmt: skip
def test_check_names_file_and_key(policies: Path, train: str, told: str) -> None:
    """`flywheel policy check` lists it; the policies still load, so that other lines go on."""
    (policies / "lines" / "l.toml").write_text(LINE + train)
    (problem,) = check_policies(policies)
    assert str(problem).startswith("lines/l.toml: ")
    assert told in str(problem)
    assert "l" in load_policies(policies).lines


def test_a_line_that_its_trainer_can_do_is_silent(policies: Path) -> None:
    """Nothing is said of what is right."""
    (policies / "lines" / "l.toml").write_text(LINE + '[train]\nbackend = "mlx"\n')
    assert check_policies(policies) == []
