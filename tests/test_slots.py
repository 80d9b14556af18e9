"""Slots are shared out by number, never more at a time than there are."""

from __future__ import annotations

import random
import threading
import time

import pytest

from evolver.slots import Slots


def test_the_lowest_number_goes_first() -> None:
    slots = Slots(1)
    order: list[int] = []

    def work(number: int) -> None:
        with slots.turn(number):
            order.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in (5, 3, 9, 3, 1)]
    with slots.turn(0):
        for waiting, thread in enumerate(threads, start=1):
            thread.start()
            while len(slots._waiting) < waiting:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == [1, 3, 3, 5, 9]


def test_no_more_work_at_a_time_than_there_are_slots_and_nobody_is_left_waiting() -> None:
    slots, lock = Slots(3), threading.Lock()
    busy, most, done = 0, 0, 0

    def work(number: int) -> None:
        nonlocal busy, most, done
        with slots.turn(number):
            with lock:
                busy += 1
                most = max(most, busy)
            time.sleep(0.001)
            with lock:
                busy -= 1
                done += 1

    numbers = random.Random(0).sample(range(100), 60)
    threads = [threading.Thread(target=work, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (most, done) == (3, 60)


def test_a_turn_that_raises_gives_its_slot_back() -> None:
    slots = Slots(1)
    with pytest.raises(ZeroDivisionError), slots.turn(1):
        raise ZeroDivisionError
    with slots.turn(1):
        pass
    with pytest.raises(ValueError, match="at least one"):
        Slots(0)
