"""Client-side caching: who is told what, and when, beside the real server."""

from __future__ import annotations

import pytest

from tests.support.dialogue import listen, must_be_alike, said
from tests.support.embedded import MovedTime
from tests.support.servers import ServerProcess
from tests.support.transcript import RealTime

DIALOGUES = {
    "what was read, once": """
        A CLIENT TRACKING ON
        A GET k
        B SET k 1
        B SET k 2
        A GET k | SET k 3 | GET k
        A CLIENT TRACKINGINFO
        """,
    "the own writes after their replies": """
        A CLIENT TRACKING ON
        A GET a | GET b
        A SET a 1 | SET b 1 | GET c | MSET a 1 b 2
        A MGET a b
        A MSET a 1 b 1 | PING
        A GET a
        A SET a 1 | NOTHING | PING
        A GET a
        A SET a 1 | GET | PING
        A GET a
        A CLIENT REPLY SKIP | SET a 1 | PING
        """.replace("A CLIENT REPLY SKIP |", "A:1 CLIENT REPLY SKIP |"),
    "reads that fail": """
        B LPUSH k 1
        A CLIENT TRACKING ON
        A GET k
        B LPUSH k 2
        """,
    "several keys, and names": """
        A CLIENT TRACKING ON
        B SET k 1 | SET j 1
        A MGET k j l
        B RENAME k l
        A MGET k j l
        B MOVE j 1
        A GET l
        B DEL l nothing
        A GET l
        B DEL l
        B COPY j k
        """,
    "all ways to read": """
        A CLIENT TRACKING ON
        A EXISTS a | TTL b | TYPE c | OBJECT ENCODING d | TOUCH e | SCAN 0 | MEMORY USAGE f
        A XINFO STREAM g | SORT_RO h | SORT i | XREAD STREAMS j 0 | LCS k l | SINTERCARD 1 m
        A GETEX n | GETDEL o | BITFIELD_RO p GET u8 0 | BITFIELD q GET u8 0 | RANDOMKEY
        A GEORADIUS_RO r 1 1 1 m | PFCOUNT s | XPENDING t g | HGETEX u FIELDS 1 a
        A ZRANGESTORE v w 0 1 | LCS | SINTERCARD 9 x
        B MSET a 1 b 1 c 1 d 1 e 1 f 1 g 1 h 1 i 1 j 1 k 1 l 1 m 1 n 1 o 1 p 1 q 1 r 1 s 1 t 1
        B MSET u 1 v 1 w 1 x 1
        """,
    "what is no change": """
        A CLIENT TRACKING ON
        B XADD s 1-1 f v | XGROUP CREATE s g 0 | PFADD h x
        A XLEN s | PFCOUNT h
        B XGROUP CREATECONSUMER s g c | XREADGROUP GROUP g c STREAMS s > | XACK s g 1-1
        B XGROUP SETID s g 0 | XREADGROUP GROUP g c STREAMS s > | XCLAIM s g d 0 1-1
        B XAUTOCLAIM s g c 0 0 | XGROUP DELCONSUMER s g c | XSETID s 5-5 | XGROUP DESTROY s g
        B PFDEBUG TODENSE h
        B XADD s 6-6 f v | PFADD h y
        """,
    "whatever the database": """
        A CLIENT TRACKING ON
        A GET k
        B SELECT 3 | SET k 2
        B SELECT 0 | SET k 1 | SELECT 1 | SET k 2
        A GET k
        B SWAPDB 0 1
        B SET k 3
        """,
    "everything is gone": """
        A CLIENT TRACKING ON
        C CLIENT TRACKING ON BCAST NOLOOP
        d CLIENT TRACKING ON
        A GET k
        B FLUSHDB
        B SET k 1
        A GET k
        A FLUSHALL | PING | FLUSHDB ASYNC | PING | FLUSHALL SYNC | FLUSHDB | PING
        B SELECT 5 | FLUSHDB | FLUSHALL nothing
        A GET a | SET a 1 | FLUSHALL
        """,
    "met when its time has come": """
        A CLIENT TRACKING ON
        N CLIENT TRACKING ON NOLOOP
        L CLIENT TRACKING ON BCAST NOLOOP
        B DEBUG SET-ACTIVE-EXPIRE 0
        B MSET k v j v i v
        A GET k
        N MGET k j
        B PEXPIRE k 20 | PEXPIRE j 20
        A GET k
        N MGET k j
        +25
        A GET k | PING
        N GET j | PING
        L GET i | PING
        B SET k 1 | SET j 1
        B SET i 1 PX 20
        +25
        L GET i | PING
        B SET i 1 PX 20
        +25
        L SET i 1 | PING
        B DEBUG SET-ACTIVE-EXPIRE 1
        """,
    "whether or not it is met": """
        A CLIENT TRACKING ON
        C CLIENT TRACKING ON BCAST
        B SET k v PX 300
        C hears
        A GET k
        +300
        A hears
        C hears
        B HSET h a 1 b 2 | HPEXPIRE h 300 FIELDS 1 a
        C hears
        A HLEN h
        +300
        A hears
        C hears
        B HSET h c 1
        C hears
        B DEL h | HSET h a 1 | HPEXPIRE h 300 FIELDS 1 a
        C hears
        A HLEN h
        +300
        A hears
        C hears
        B HSET h c 1
        """,
    "not the own changes": """
        A CLIENT TRACKING ON NOLOOP
        A GET k
        A SET k 1
        B SET k 2
        A GET k
        B SET k 3
        """,
    "opt in": """
        A CLIENT TRACKING ON OPTIN
        A GET k
        A CLIENT CACHING YES | GET j | GET l
        B MSET j 1 k 1 l 1
        A CLIENT CACHING YES | CLIENT TRACKINGINFO | GET q
        B SET q 1
        A CLIENT CACHING NO | CLIENT CACHING x
        A CLIENT CACHING YES | NOTHING | GET y
        A CLIENT CACHING YES | GET | GET y
        A CLIENT CACHING YES | CLIENT NOTHING | GET y
        A CLIENT CACHING YES | CLIENT | GET y
        A CLIENT CACHING YES | CLIENT TRACKING OFF | CLIENT TRACKING ON OPTIN | GET y
        B SET y 1
        A CLIENT CACHING YES | CLIENT TRACKING ON OPTIN | CLIENT CACHING | CLIENT ID x | GET y
        B SET y 1
        """,
    "opt out": """
        A CLIENT TRACKING ON OPTOUT
        A GET k
        A CLIENT CACHING NO | GET j | GET l
        B MSET j 1 k 1 l 1
        A CLIENT CACHING YES
        A CLIENT CACHING NO | CLIENT TRACKINGINFO
        """,
    "broadcasts": """
        A CLIENT TRACKING ON BCAST
        P CLIENT TRACKING ON BCAST PREFIX b: PREFIX a:
        N CLIENT TRACKING ON BCAST NOLOOP
        B SET k 1 | SET a 1 | SET k 2
        A SET x 1 | SET y 1 | GET z
        B MSET a:1 1 b:1 1 c:1 1 a:0 0 a 1
        P SET x 1 | SET a:y 1 | GET z | CLIENT TRACKINGINFO
        N SET x 1 | SET y 1 | GET y
        N MSET a 1 b 1 | DEL nothing
        B FLUSHALL
        """,
    "told in another's place": """
        S PING
        A CLIENT TRACKING ON REDIRECT $S
        A GET k
        B SET k 1
        A GET k
        S SET k 3 | PING
        A GET k | SET k 4 | PING
        A CLIENT TRACKINGINFO | CLIENT INFO
        A FLUSHALL | PING
        a CLIENT TRACKING ON REDIRECT $S
        a GET k
        B SET k 1
        B FLUSHALL
        S RESET
        A GET k
        B SET k 1
        A CLIENT TRACKING ON REDIRECT $A
        A GET k
        B SET k 1
        """,
    "told on a channel": """
        s SUBSCRIBE __redis__:invalidate
        x SUBSCRIBE x
        A CLIENT TRACKING ON REDIRECT $s
        a CLIENT TRACKING ON BCAST REDIRECT $x
        A GET k
        B SET k 1
        B FLUSHALL
        A FLUSHALL | PING
        x UNSUBSCRIBE
        B SET k 1
        """,
    "nobody is left to be told": """
        S PING
        A CLIENT TRACKING ON REDIRECT $S
        C CLIENT TRACKING ON BCAST REDIRECT $S
        A GET k
        S close
        A CLIENT TRACKINGINFO
        B SET k 1
        A CLIENT TRACKINGINFO | CLIENT INFO
        C CLIENT INFO
        A GET k | SET k 2 | PING
        B FLUSHALL
        A CLIENT TRACKING ON | CLIENT TRACKINGINFO
        """,
    "in either protocol": """
        a CLIENT TRACKING ON
        a GET k
        B SET k 1
        a CLIENT TRACKINGINFO
        a:1 HELLO 3 SETNAME x y
        a RESET | CLIENT TRACKINGINFO
        A CLIENT TRACKING ON
        A GET k | RESET | GET k
        B SET k 1
        """,
    "without replies": """
        A CLIENT TRACKING ON
        A:1 GET k | CLIENT REPLY OFF
        B SET k 1
        A:1 GET k | SET k 2 | GET k | CLIENT REPLY ON
        B SET k 3
        """,
    "off and on": """
        C CLIENT TRACKING ON BCAST
        A CLIENT TRACKING ON
        A GET k | CLIENT TRACKING OFF
        B SET k 1
        A CLIENT TRACKING ON | GET k | CLIENT TRACKING OFF | CLIENT TRACKING ON
        B SET k 2
        A GET j | CLIENT TRACKING OFF | CLIENT TRACKING ON BCAST
        B SET j 1
        A CLIENT TRACKING OFF | CLIENT TRACKING ON NOLOOP | CLIENT TRACKING ON
        A CLIENT TRACKINGINFO | CLIENT INFO
        C CLIENT INFO
        """,
    "what is refused": """
        B PING
        A CLIENT CACHING YES | CLIENT CACHING x | CLIENT CACHING | CLIENT TRACKING
        A CLIENT TRACKING x | CLIENT TRACKING ON x | CLIENT TRACKING ON REDIRECT
        A CLIENT TRACKING ON REDIRECT 999999 | CLIENT TRACKING ON REDIRECT x
        A CLIENT TRACKING ON REDIRECT -1 | CLIENT TRACKING ON REDIRECT 0
        A CLIENT TRACKING ON REDIRECT $B REDIRECT $B | CLIENT TRACKING ON REDIRECT 999999 x
        A CLIENT TRACKING ON PREFIX a | CLIENT TRACKING ON BCAST PREFIX
        A CLIENT TRACKING ON OPTIN OPTOUT | CLIENT TRACKING ON BCAST OPTIN
        A CLIENT TRACKING ON BCAST OPTIN OPTOUT | CLIENT TRACKING ON PREFIX a OPTIN OPTOUT
        A CLIENT TRACKING ON BCAST PREFIX a PREFIX ab | CLIENT TRACKING ON BCAST PREFIX ab PREFIX a
        A CLIENT TRACKING ON BCAST PREFIX a | CLIENT TRACKING ON BCAST PREFIX ab
        A CLIENT TRACKING ON BCAST PREFIX "" | CLIENT TRACKING ON BCAST PREFIX a
        A CLIENT TRACKING ON BCAST PREFIX b | CLIENT TRACKINGINFO | CLIENT TRACKING ON
        A CLIENT TRACKING ON OPTIN OPTOUT | CLIENT TRACKING ON BCAST | CLIENT TRACKINGINFO
        A CLIENT CACHING YES | CLIENT TRACKING OFF x | CLIENT TRACKING OFF BCAST PREFIX x
        A CLIENT TRACKINGINFO | CLIENT GETREDIR
        A CLIENT TRACKING ON OPTIN | CLIENT TRACKING ON OPTOUT | CLIENT TRACKING ON
        A CLIENT TRACKING ON OPTIN NOLOOP | CLIENT TRACKINGINFO | CLIENT CACHING MAYBE
        A CLIENT TRACKING ON BCAST | CLIENT TRACKING ON OPTIN OPTOUT | CLIENT GETREDIR
        """,
    "as a transaction": """
        A CLIENT TRACKING ON
        A MULTI | SET k 1 | GET k | EXEC
        B SET k 2
        A MULTI | GET k | SET k 1 | EXEC
        B SET k 3
        A GET k | GET j
        A MULTI | SET k 1 | SET j 1 | PING | EXEC | PING
        A MULTI | SET k 1 | GET k | SET k 2 | GET k | EXEC
        B SET k 2
        A MULTI | FLUSHALL | PING | EXEC | PING
        A MULTI | GET k | FLUSHALL ASYNC | GET j | EXEC | PING
        B MSET k 1 j 1
        C CLIENT TRACKING ON BCAST NOLOOP
        B MULTI | SET k 1 | FLUSHALL | SET j 1 | EXEC
        """,
    "opted in to a transaction": """
        A CLIENT TRACKING ON OPTIN
        A CLIENT CACHING YES | MULTI | GET t | GET u | EXEC | GET v
        B MSET t 1 u 1 v 1
        A MULTI | CLIENT CACHING YES | GET t | GET u | EXEC | GET v
        B MSET t 1 u 1 v 1
        A CLIENT CACHING YES | MULTI | GET a | DISCARD | GET b
        A CLIENT CACHING YES | MULTI | NOTHING | EXEC | GET b
        B MSET a 1 b 1
        A MULTI | CLIENT TRACKING OFF | CLIENT TRACKING ON | GET k | EXEC
        B SET k 1
        """,
}


@pytest.mark.parametrize("name", DIALOGUES)
def test_everybody_is_told_what_redis_tells(
    tendis_in_moved_time: MovedTime, redis_server: ServerProcess, name: str
) -> None:
    lines = said(DIALOGUES[name])
    ours = listen(lines, tendis_in_moved_time)
    must_be_alike(ours, listen(lines, RealTime(redis_server)))
