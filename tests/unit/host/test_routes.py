"""Each system's list of routes, as it prints it."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from backend.errors import ProblemCode, WherryError
from backend.host.routes import Route, as_routes, parse_linux_v4, parse_linux_v6, parse_mac, parse_windows
from backend.host.systems.linux import LinuxHost

LINUX = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlp3s0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
tun0\t0000000A\t0100080A\t0003\t0\t0\t50\t000000FF\t0\t0\t0
tun0\t0000080A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
*\t000012AC\t00000000\t0201\t0\t0\t0\t0000FFFF\t0\t0\t0
wlp3s0\t0000FEA9\t00000000\t0001\t0\t0\t1000\t0000FFFF\t0\t0\t0
wlp3s0\t0001A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0
torn line
"""

LINUX_V6 = """\
fd0000000000000000000000000000ab 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001     eth0
fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000003 00000000 00000003     eth0
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000003 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
"""  # noqa: E501 -- as the kernel writes it

MAC = """\
Routing tables

Internet:
Destination        Gateway            Flags               Netif Expire
default            192.168.1.1        UGScg                 en0
default            link#24            UCSIg           bridge100      !
10                 10.8.0.1           UGSc                utun4
10.8/16            utun4              USc                 utun4
127                127.0.0.1          UCS                   lo0
127.0.0.1          127.0.0.1          UH                    lo0
169.254            link#12            UCS                   en0      !
172.20.30.40       10.8.0.1           UGHS                utun4
192.168.1          link#12            UCS                   en0      !
192.168.1.1/32     link#12            UCS                   en0      !
192.168.1.1        a4:2b:b0:00:11:22  UHLWIir               en0   1180
192.168.1.37       f0:18:98:aa:bb:cc  UHLWI                 en0    977
192.168.64         link#24            UC              bridge100      !
224.0.0/4          link#12            UmCS                  en0      !
255.255.255.255/32 link#12            UCS                   en0      !

Internet6:
Destination                             Gateway                                 Flags               Netif Expire
default                                 fe80::1%en0                             UGcg                  en0
::1                                     ::1                                     UHL                   lo0
2001:db8:1::/64                         link#12                                 UC                    en0
fe80::%lo0/64                           fe80::1%lo0                             UcI                   lo0
ff00::/8                                ::1                                     UmCI                  lo0
"""

WINDOWS = """\
===========================================================================
Interface List
 12...3c 52 82 aa bb cc ......Intel(R) Ethernet Connection
  1...........................Software Loopback Interface 1
===========================================================================

IPv4 Route Table
===========================================================================
Active Routes:
Network Destination        Netmask          Gateway       Interface  Metric
          0.0.0.0          0.0.0.0      192.168.1.1    192.168.1.37     25
         10.0.0.0        255.0.0.0         10.8.0.1        10.8.0.6     35
         10.8.0.0    255.255.255.0         On-link         10.8.0.6    291
         10.8.0.6  255.255.255.255         On-link         10.8.0.6    291
       10.8.0.255  255.255.255.255         On-link         10.8.0.6    291
        127.0.0.0        255.0.0.0         On-link        127.0.0.1    331
      172.20.16.0    255.255.240.0   Auf Verbindung     172.20.16.1   5256
      192.168.1.0    255.255.255.0         On-link     192.168.1.37    281
        224.0.0.0        240.0.0.0         On-link     192.168.1.37    281
  255.255.255.255  255.255.255.255         On-link     192.168.1.37    281
===========================================================================
Persistent Routes:
  Network Address          Netmask  Gateway Address  Metric
       10.99.0.0      255.255.0.0      192.168.1.9       1
===========================================================================
"""


def route(net: str, interface: str, gateway: str = "") -> Route:
    return Route(net=ip_network(net), interface=interface, gateway=gateway)


def test_linux() -> None:
    assert parse_linux_v4(LINUX) == (
        route("0.0.0.0/0", "wlp3s0", "192.168.1.1"),
        route("10.0.0.0/8", "tun0", "10.8.0.1"),
        route("10.8.0.0/16", "tun0"),
        route("172.17.0.0/16", "docker0"),
        route("192.168.1.0/24", "wlp3s0"),
    )
    assert parse_linux_v6(LINUX_V6) == (route("fd00::/64", "eth0"), route("::/0", "eth0", "fe80::1"))


def test_mac() -> None:
    assert parse_mac(MAC) == (
        route("10.0.0.0/8", "utun4", "10.8.0.1"),
        route("10.8.0.0/16", "utun4"),
        route("172.20.30.40/32", "utun4", "10.8.0.1"),
        route("192.168.1.0/24", "en0"),
        route("192.168.1.1/32", "en0"),
        route("192.168.64.0/24", "bridge100"),
        route("2001:db8:1::/64", "en0"),
    )


def test_windows() -> None:
    assert parse_windows(WINDOWS) == (
        route("0.0.0.0/0", "192.168.1.37", "192.168.1.1"),
        route("10.0.0.0/8", "10.8.0.6", "10.8.0.1"),
        route("10.8.0.0/24", "10.8.0.6"),
        route("172.20.16.0/20", "172.20.16.1"),
        route("192.168.1.0/24", "192.168.1.37"),
    )


def test_what_is_no_list_of_routes_has_none() -> None:
    for parse in (parse_linux_v4, parse_linux_v6, parse_mac, parse_windows):
        assert parse("") == parse("\n\0 \n" * 3 + "a b c d e f g h i j\n") == ()


def test_a_kernel_that_does_not_tell_is_a_problem_and_one_without_ipv6_is_none(tmp_path: Path) -> None:
    host = LinuxHost("amd64", proc_net=tmp_path)
    with pytest.raises(WherryError) as caught:
        host.routes()
    assert caught.value.problem.code is ProblemCode.TOOL_MISSING
    assert "network.subnet" in (str(caught.value.problem.hint) or "")
    (tmp_path / "route").write_text(LINUX)
    assert len(host.routes()) == 5
    (tmp_path / "ipv6_route").write_text(LINUX_V6)
    assert len(host.routes()) == 7


def test_addresses_become_ways_and_names_do_not() -> None:
    assert as_routes(["10.1.2.3", "proxy.example", "::1"], interface="proxy") == (
        route("10.1.2.3/32", "proxy"),
        route("::1/128", "proxy"),
    )
