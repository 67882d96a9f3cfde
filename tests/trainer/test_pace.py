"""When a run saves, stops early, and what it says is left."""

from __future__ import annotations

import os
import signal

import pytest

from tests.trainer.processes import free_port, start_processes, take_place
from trainer.dist.parallel import close_world, open_world
from trainer.pace import SIGNALS, Pace, StopSignals
from trainer.settings import CheckpointConfig, ParallelConfig


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def world():
    yield open_world(ParallelConfig(), "cpu")
    close_world()


def test_checkpoints_by_steps_and_by_age(world):
    clock = Clock()
    pace = Pace(CheckpointConfig(every=10, minutes=2.0), world, 0, 100, clock)
    saved = []
    for step in range(1, 31):
        clock.now_s += 30 if step < 13 else 1
        save, stopped = pace.after(step, StopSignals())
        assert not stopped
        saved += [step] if save else []
    assert saved == [4, 8, 10, 20, 30]


def test_no_age_by_default(world):
    clock = Clock()
    pace = Pace(CheckpointConfig(every=10), world, 0, 100, clock)
    clock.now_s += 1e6
    assert pace.after(9, StopSignals()) == (False, False)
    with pytest.raises(ValueError, match=r"checkpoint\.minutes is -1"):
        CheckpointConfig(minutes=-1.0)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_with_a_checkpoint(world, number: signal.Signals):
    before = signal.getsignal(number)
    pace = Pace(CheckpointConfig(every=10), world, 0, 100)
    with StopSignals() as stop:
        assert pace.after(1, stop) == (False, False)
        os.kill(os.getpid(), number)
        assert pace.after(2, stop) == (True, True)
    assert stop.asked is number
    assert signal.getsignal(number) is before


def test_what_is_left(world):
    clock = Clock()
    pace = Pace(CheckpointConfig(), world, 20, 100, clock)
    clock.now_s += 10.0
    assert pace.left(30) == "70 s left"
    clock.now_s += 90.0
    assert pace.left(30) == "12 min left"
    clock.now_s += 3600.0
    assert pace.left(30) == "7.2 h left"


def _stopped_in_one(rank: int, port: int) -> None:
    take_place(rank, 2, port)
    world = open_world(ParallelConfig(), "cpu")
    pace = Pace(CheckpointConfig(every=10), world, 0, 100)
    with StopSignals() as stop:
        assert pace.after(1, stop) == (False, False)
        if rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        assert pace.after(2, stop) == (True, True), "all stop after the same step"
        assert (stop.asked is None) is (rank == 0)
    close_world()


def test_a_signal_to_one_process_stops_all():
    start_processes(_stopped_in_one, (free_port(),), 2)
