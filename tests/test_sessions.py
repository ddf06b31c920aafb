"""What HAProxy tells of its sessions, read whole."""

from __future__ import annotations

from serve_config.front import sessions_of

SHOWN = """\
0x563c7aea4c40: proto=tcpv4 src=127.0.0.1:58988 fe=public be=torchserve srv=a ts=00 epoch=0 age=3s calls=4 rq[f=48840000h,i=0,an=8000h,rx=,wx=,ax=] exp=1m57s rc=0 c_exp=
0x563c7b0e6b80: proto=tcpv4 src=127.0.0.1:58990 fe=public be=torchserve srv=a ts=00 epoch=0 age=1h1m5s calls=3 rp[f=80400000h,i=0,an=1400000h,rx=1m57s,wx=,ax=]
0x563c7b0e6b81: proto=tcpv4 src=127.0.0.1:58991 fe=public be=torchserve srv=b ts=00 epoch=0 age=9s calls=3
0x563c7b0e6b82: proto=tcpv4 src=127.0.0.1:58992 fe=public be=torchserve srv=<NONE> ts=00 epoch=0 age=9s calls=3
0x563c7b0e6b83: proto=tcpv4 src=127.0.0.1:58993 fe=public be=pages srv=a ts=00 epoch=0 age=9s calls=3
0x563c7b0e7b50: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s calls=1
"""  # noqa: E501


def test_the_ages_of_a_servers_requests() -> None:
    """Requests of another server, in the queue, or of another backend are not this server's."""
    assert sessions_of(SHOWN, "a") == {"0x563c7aea4c40": 3, "0x563c7b0e6b80": 3665}
    assert sessions_of("", "a") == {}
