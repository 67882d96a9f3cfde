"""Generated from proto/c2r/wire/v1/renderer.proto by proto/generate.py; do not edit.

The protobuf messages and the gRPC service. `c2r.wire` turns them into dataclasses.
"""

PROTO_SHA256 = "aa65617bd0b063f91b0eb4c1db8bdece1cc816e45b4525367d8ca02ed02024be"
