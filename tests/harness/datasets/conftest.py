import pytest
import trees


@pytest.fixture(scope="session")
def clip():
    """A rendered face, once for all the datasets it is written as."""
    return trees.render()


@pytest.fixture(scope="session")
def labels_only(clip):
    """The same pulse without frames: trees whose videos cannot be played."""
    return trees.without_frames(clip)
