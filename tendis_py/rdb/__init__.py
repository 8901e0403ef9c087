"""Redis' serialisation of values (RDB), both ways.

``payload`` is the way in: ``dump`` makes of a key's row what DUMP answers, ``restore`` a row of
that again. Below it a module per type writes and reads its values, piece by piece; ``source``,
``sink``, ``lzf``, ``checksum``, ``listpack`` and ``older`` know bytes, and no keys.
"""
