"""F17: radios that look like a listed board's setup network and are not. Who answers decides, never what is heard."""

from dataclasses import replace

import pytest
import trio
from false_air import HEAD, lying

from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.operators import Habits
from provisioner.simulator.photon.history import WRITE_ATTEMPTS, Event

ONE_RADIO = replace(PROFILES["none"], same_bssid=1e-9)  # two of one BSSID look like one, the stronger one
AT_ONCE = Habits(handling_s=(0.1, 0.2))


def untouched(line, board):
    return not list(line.world.history.of(board.device_id, *WRITE_ATTEMPTS))


@pytest.mark.parametrize("seed", range(4))
async def test_f17_a_neighbours_photon_of_the_same_name_gets_no_write_and_the_listed_one_is_done(
    factory, autojump_clock, seed
):
    """F17: it lies on the next bench, and says who it is."""
    line = factory(seed=seed, stations=1, habits=AT_ONCE)
    (board,) = line.boards(1, ssid="Photon-KLJZ")
    (neighbour,) = line.strange_boards(1, ssid="Photon-KLJZ")

    end = await line.work()

    end.good(**{"pass": 1})
    assert end.outcome(board) == ("confirmed", None)
    assert untouched(line, neighbour)


async def test_f17_a_neighbour_under_the_same_bssid_gets_no_write_and_who_is_in_the_way_is_told(
    factory, autojump_clock
):
    """F17: of two radios that cannot be told apart the stronger one answers. When it is the stranger, people are told
    where it was met, and the listed board is not a failure; once the stranger is gone, the next run does it.
    """
    met = []
    for seed in range(6):
        line = factory(seed=seed, faults=ONE_RADIO, stations=1, habits=AT_ONCE, budgets={"idle_stop_s": 60})
        line.folder /= str(seed)
        line.folder.mkdir()
        line.runs_dir = line.folder / "runs"
        (board,) = line.boards(1, ssid="Photon-KLJZ", bssid="6c:0b:84:00:00:01")
        (neighbour,) = line.strange_boards(1, ssid="Photon-KLJZ", bssid=board.bssid)
        async with line.alive():
            first = await line.run()
            line.world.remove(neighbour)
            await trio.sleep(20)
            second = await line.run()

        assert (first.wrong, second.wrong) == ([], []), seed
        assert untouched(line, neighbour)
        met.append(bool(first.events("stranger.seen", neighbour.device_id)))
        if met[-1]:
            (seen,) = first.events("stranger.seen")
            assert (seen.bssid, seen.blame) == (board.bssid, "operator")
        assert first.outcome(board) in {("confirmed", None), ("skipped", "not_seen")}
        assert second.outcomes() == {"pass": 1}, seed

    assert {True, False} == set(met), "both happen, depending on who is louder"


async def test_f17_a_radio_under_the_same_bssid_and_another_name_is_not_taken_for_it(factory, autojump_clock):
    """F17: a Photon is joined by name and BSSID together."""
    line = factory(faults=ONE_RADIO, stations=1, habits=AT_ONCE)
    (board,) = line.boards(1, bssid="6c:0b:84:00:00:01")
    (neighbour,) = line.strange_boards(1, ssid="Photon-ZZZZ", bssid=board.bssid)

    end = await line.work()

    assert end.wrong == []
    assert untouched(line, neighbour)
    assert end.outcome(board) in {("confirmed", None), ("skipped", "not_seen")}


async def test_f17_a_radio_that_changes_its_mind_about_who_it_is_gets_no_further_write(factory, autojump_clock):
    """F17: every write is preceded by the question; the first other answer ends the visit."""
    line = factory(stations=1, habits=AT_ONCE, budgets={"idle_stop_s": 60})
    (board,) = line.boards(1)
    (twin,) = line.strange_boards(1, ssid=board.ssid)
    said = []

    def lie(asked, answer):
        """First it is the listed board, then itself."""
        if b"/device-id" not in asked:
            return answer
        said.append(answer)
        own, listed = twin.device_id.encode(), board.device_id.encode()
        return answer.replace(own.upper(), listed).replace(own, listed) if len(said) == 1 else answer

    lying(line, twin, lie)

    end = await line.work()

    end.good(**{"pass": 1})
    assert untouched(line, twin)
    assert "device_changed" in {r.code for r in end.events("visit.ended")}


async def test_f17_a_twin_that_lies_about_its_id_to_the_end_gets_a_code_and_the_wifi_and_never_a_pass(
    factory, autojump_clock
):
    """F17, what remains (the README says so): nothing in SoftAP proves who answers, so whoever lies well is handed
    a claim code and the Wi-Fi password under its own key. But the cloud shows the listed board, and that is no proof.
    """
    line = factory(stations=1, budgets={"idle_stop_s": 60, "confirm_s": 60})
    (board,) = line.boards(1)
    (twin,) = line.strange_boards(1, ssid=board.ssid)
    own, listed = twin.device_id.encode(), board.device_id.encode()

    def lie(asked, answer):
        return answer.replace(own.upper(), listed).replace(own, listed)

    lying(line, twin, lie)

    async with line.alive(bring=False):
        line.world.start_operators([twin], AT_ONCE)  # the true board is still in its box
        first = await line.run()
        line.world.start_operators([board], AT_ONCE)
        second = await line.run()

    assert list(line.world.history.of(twin.device_id, Event.CLAIM_CODE_SET))
    assert twin.flash.networks[0].password == TEST_ROUTER.password.encode()
    assert first.outcome(board) == ("unknown", "not_proven")
    assert not first.events("device.confirmed")
    assert second.outcome(board) == ("confirmed", None)
    for end in (first, second):
        assert not [wrong for wrong in end.wrong if "confirmed" in wrong]


async def test_f17_an_access_point_that_is_no_photon_gets_no_write(factory, autojump_clock):
    """F17: a router that is called like a listed board, at the same address, with a web page of its own."""
    line = factory(stations=1, habits=AT_ONCE)
    (board,) = line.boards(1)
    (router,) = line.strange_boards(1, ssid=board.ssid)
    page = HEAD[80] + b"<html>Welcome</html>"
    lying(line, router, lambda asked, answer: page)

    end = await line.work()

    end.good(**{"pass": 1})
    assert untouched(line, router)
