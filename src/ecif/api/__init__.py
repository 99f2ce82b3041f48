"""HTTP in: routers are a signature and one call; errors become problem documents in one table."""

from starlette.convertors import StringConvertor, register_url_convertor


class _Segment(StringConvertor):
    """A part of a path ends at a slash or at a colon, after which a verb follows: ``/customers/{no}:close``."""

    regex = "[^/:]+"


register_url_convertor("str", _Segment())
