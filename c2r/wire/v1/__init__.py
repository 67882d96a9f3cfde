"""Generated from proto/c2r/wire/v1/renderer.proto by proto/generate.py; do not edit.

The protobuf messages and the gRPC service. `c2r.wire` turns them into dataclasses.
"""

PROTO_SHA256 = "b8ef4dba913d3c0b58974a3831e7adc2165ea5304dd8be1961247d4397e25bac"
