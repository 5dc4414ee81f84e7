"""The rungs of RDMA: only the lowest that is missing is told, where it can be mended."""

from tests.states.lab import studios
from tests.states.state import state

_WEDGED = "/usr/bin/ibv_devinfo"

STATES = {
    "RDMA off on one of four, blamed there alone": state(
        studios(4).mac("m3", rdma="disabled"), ("m3", "RDMA", "error", "disabled")
    ),
    "RDMA off on both": state(
        studios(2).every_mac(rdma="disabled"), ("m1", "RDMA", "error", "disabled"), ("m2", "RDMA", "error", "disabled")
    ),
    "RDMA on by its own word, but not offered to either neighbour": state(
        studios(3).mac("m2", offers_rdma=False),
        ("m2", "RDMA", "error", "not offered on the cable to m1, m3"),
    ),
    "a word of rdma_ctl that nobody knows": state(
        studios(2).prints("m2", "/usr/bin/rdma_ctl", "unknown option\n"), ("m2", "RDMA", "error", "unknown option")
    ),
    "an rdma_ctl that says nothing": state(
        studios(2).prints("m2", "/usr/bin/rdma_ctl", ""), ("m2", "RDMA", "error", "cannot tell")
    ),
    "an ibv_devinfo that hangs": state(
        studios(2).prints("m2", _WEDGED, "", 142), ("m2", "RDMA", "error", "did not answer within")
    ),
    "an ibv_devinfo that fails": state(
        studios(2).prints("m2", _WEDGED, "Failed to open device\n", 255), ("m2", "RDMA", "error", "Failed to open")
    ),
    "devices missing though RDMA is on": state(
        studios(2).mac("m1", devices=()), ("m1", "RDMA", "error", "lists no device")
    ),
    "a device missing for the cabled port": state(
        studios(2).mac("m1", devices=("rdma_en2", "rdma_en4")),
        ("m1", "RDMA towards m2", "error", "does not list rdma_en3"),
    ),
    "a port down with everything else right": state(
        studios(3).mac("m2", rdma_down=("en3",)), ("m2", "RDMA towards m1", "error", "rdma_en3 is PORT_DOWN")
    ),
    "both ports of a cable down, told once": state(
        studios(2).every_mac(rdma_down=("en3",)),
        ("m1", "RDMA towards m2", "error", "rdma_en3 is PORT_DOWN, rdma_en3 on m2 is PORT_DOWN"),
    ),
    "RDMA off where it is not required": state(
        studios(2).every_mac(rdma="disabled").declared(thunderbolt__rdma=None, replicas__0__transport="ring")
    ),
    "all protection domains spent": state(
        studios(2).mac("m1", domains="11"), ("m1", "RDMA protection domains", "error", "11 of 11")
    ),
    "most protection domains spent": state(
        studios(4).mac("m1", domains="25"), ("m1", "RDMA protection domains", "note", "25 of 33 are held on 3 devices")
    ),
    "a macOS that does not count protection domains": state(studios(2).mac("m1", domains="<no such class>")),
    "a macOS from before RDMA, for which nothing else is blamed": state(
        studios(3).mac("m3", macos="26.1", build="25B78"),
        ("m3", "macOS", "error", "26.1 (25B78)"),
        ("m3", "macOS build", "error", "26.1 (25B78)"),
    ),
}
