import pytest
from one_run import CONFIG

from dsl.runs.folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    run = RunFolder.create(tmp_path / "runs", "a run", CONFIG)
    yield run
    run.close()
