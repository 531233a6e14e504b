"""An Arrow schema as the ``features`` of a data set card, in the form that ``datasets`` reads.

Written out here so that a run need not import ``datasets``; a test holds it against that library for every export.
"""

from collections.abc import Mapping

import pyarrow as pa


def card_features(schema: pa.Schema) -> list[Mapping[str, object]]:
    return [{"name": field.name, **_typed(field.type)} for field in schema]


def _typed(kind: pa.DataType) -> Mapping[str, object]:
    if pa.types.is_list(kind):
        inner = _typed(kind.value_type)
        return {"list": inner.get("dtype") or inner.get("struct") or inner}
    if pa.types.is_struct(kind):
        return {"struct": [{"name": field.name, **_typed(field.type)} for field in kind]}
    return {"dtype": {"double": "float64"}.get(str(kind), str(kind))}
