"""One search for effective physics at a time, and no script that waits for one that nobody wants any longer."""

import threading
from types import SimpleNamespace

import pytest

from dali.studio.film import effective


class MovedOn(Exception):
    """Stands for what Streamlit raises where an element meets a script that is no longer wanted."""


class Place:
    def __init__(self, wanted: bool):
        self.wanted, self.looks = wanted, 0

    def empty(self) -> None:
        self.looks += 1
        if not self.wanted:
            raise MovedOn


class FakeFilm:
    """Counts its searches; like a film, it searches when its physics is first asked for."""

    def __init__(self, during=lambda: None):
        self.searched, self.during = 0, during

    @property
    def effective_known(self):
        return self.searched > 0

    @property
    def effective(self):
        self.searched += 1
        self.during()


@pytest.fixture
def place(monkeypatch):
    found = Place(wanted=True)
    monkeypatch.setattr(effective, "st", SimpleNamespace(empty=lambda: found))
    monkeypatch.setattr(effective, "TURN", 0.01)
    monkeypatch.setattr(effective, "REST", 0.03)
    return found


def test_nothing_is_sought_before_the_visitor_rests_and_nothing_twice(place):
    film = FakeFilm()
    place.wanted = False
    with pytest.raises(MovedOn):
        effective.find_effective(film)
    assert film.searched == 0
    place.wanted = True
    effective.find_effective(film)
    looks = place.looks
    effective.find_effective(film)
    assert film.searched == 1
    assert place.looks == looks


def test_a_visitor_who_moved_on_gives_up_the_turn_and_keeps_nothing_waiting(place):
    begun, may_end = threading.Event(), threading.Event()

    def search():
        begun.set()
        assert may_end.wait(10)

    first, second = FakeFilm(search), FakeFilm()
    other = threading.Thread(target=effective.find_effective, args=(first,))
    other.start()
    assert begun.wait(10)
    place.wanted = False
    with pytest.raises(MovedOn):
        effective.find_effective(second)
    assert second.searched == 0
    may_end.set()
    other.join(10)
    place.wanted = True
    effective.find_effective(second)
    assert (first.searched, second.searched) == (1, 1)


def test_a_failed_search_gives_the_turn_on(place):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        effective.find_effective(FakeFilm(fail))
    film = FakeFilm()
    effective.find_effective(film)
    assert film.searched == 1
