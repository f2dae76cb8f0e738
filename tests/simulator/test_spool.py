"""A history on disk says what one in memory says, whatever stands in its rows."""

from provisioner.simulator.clock import SimClock
from provisioner.simulator.photon.history import Event, PhotonHistory
from provisioner.simulator.spool import Spool

HOSTILE = 'a\n"b"\t\x1b[2J\u202e\udc80'


def test_rows_come_back_in_order_and_as_they_were_also_while_more_are_written():
    spool = Spool()
    rows = [[1.5, "a", None], [2, HOSTILE, True], [3.25, Event.ONLINE, ""]]
    for row in rows:
        spool.write(row)

    read = spool.rows()
    first = next(read)
    spool.write([4, "later", ""])

    assert [first, *read] == [[1.5, "a", None], [2, HOSTILE, True], [3.25, "online", ""]]
    assert len(list(spool.rows())) == len(spool) == 4


async def test_the_history_of_photons_is_the_same_on_disk_and_in_memory(autojump_clock):
    kept, spooled = PhotonHistory(SimClock()), PhotonHistory(SimClock(), Spool())
    for history in (kept, spooled):
        history.note("a", Event.POWERED, "02:00:00:00:00:01")
        history.note("a", Event.REFUSED, "02:00:00:00:00:01", via="sim1", detail=HOSTILE)

    assert list(spooled) == list(kept)
