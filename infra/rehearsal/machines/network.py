"""The network between nodes: as in a VPC, packets are routed by who they are for, and one for nobody is never answered.

No bridge: on one, a node that is gone no longer answers ARP, and whoever calls it hears `no route to host` after 3 s.
A VPC does not say so: packets to what is gone are lost without a word, which is the harder case for those that live.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address

from infra.rehearsal import addresses

FORWARDING = "/proc/sys/net/ipv4/ip_forward"
GATEWAY = "169.254.1.1"
"""Where a node sends everything; it exists in the nodes' neighbour tables alone."""
LOST = "lost"
"""The cable whose other end nobody reads."""


@dataclass(frozen=True, kw_only=True)
class Cable:
    """What connects one node."""

    address: str
    """The node's, IPv4."""

    @property
    def name(self) -> str:
        """The device of our end; the kernel takes 15 characters."""
        return f"n{int(IPv4Address(self.address)):08x}"

    @property
    def near(self) -> str:
        """MAC address of our end."""
        return self._mac(0)

    @property
    def far(self) -> str:
        """MAC address of the node's end."""
        return self._mac(1)

    def _mac(self, end: int) -> str:
        parts = IPv4Address(self.address).packed
        return ":".join([f"{0x02:02x}", f"{end:02x}", *(f"{part:02x}" for part in parts)])

    def plugged(self, pid: int) -> list[str]:
        """Return the commands of `ip` that lay it, here, to the namespace of a process."""
        return [
            f"link add {self.name} address {self.near} type veth peer name eth0 address {self.far} netns {pid}",
            f"link set {self.name} up",
            f"neighbour replace {self.address} lladdr {self.far} dev {self.name} nud permanent",
            f"route replace {self.address}/32 dev {self.name} src {addresses.BALANCER}",
        ]

    def configured(self) -> list[str]:
        """Return the commands of `ip` that make it the node's network, in the node."""
        return [
            "link set lo up",
            "link set eth0 up",
            f"address add {self.address}/32 dev eth0",
            f"neighbour replace {GATEWAY} lladdr {self.near} dev eth0 nud permanent",
            f"route add {GATEWAY} dev eth0 scope link",
            f"route add default via {GATEWAY} src {self.address}",
        ]


class Network:
    """Connects nodes with each other, and with the addresses on the world's loopback."""

    def start(self) -> None:
        """Lay the cable that leads nowhere, and begin to route.

        Raises:
            subprocess.CalledProcessError: the kernel refuses.
        """
        with open(FORWARDING, "w") as switch:  # noqa: PTH123 - not a file
            switch.write("1")
        _ip(
            [
                f"link add {LOST} type veth peer name {LOST}-end",
                f"link set {LOST} arp off up",  # nobody is asked for: packets go out at once, and are gone
                f"link set {LOST}-end arp off up",
                f"route add default dev {LOST} src {addresses.BALANCER}",
            ]
        )

    def attach(self, address: str, pid: int) -> None:
        """Give a node its network.

        Args:
            address: the node's, as EC2 says it.
            pid: of a process in it.

        Raises:
            subprocess.CalledProcessError: the kernel refuses.
        """
        cable = Cable(address=address)
        _ip(cable.plugged(pid))
        _ip(cable.configured(), pid)

    def cut(self, address: str) -> None:
        """Take a node off the network without a word to anybody, for good; its route goes with its cable."""
        words = ["ip", "link", "set", Cable(address=address).name, "down"]
        subprocess.run(words, capture_output=True, check=False)  # fails where it has none yet

    def detach(self, address: str) -> None:
        """Remove a node's cable; where it has none, nothing is to be done.

        The kernel takes a namespace away some time after its last process; the cable goes now, with both ends, so
        that another may have its name.
        """
        name = Cable(address=address).name
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


def _ip(commands: list[str], pid: int | None = None) -> None:
    inside = [] if pid is None else ["nsenter", "--target", str(pid), "--net"]
    words = [*inside, "ip", "-batch", "-"]
    subprocess.run(words, input="\n".join(commands), text=True, check=True, capture_output=True)
