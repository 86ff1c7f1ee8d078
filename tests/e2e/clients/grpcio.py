"""Calls weir with grpc-core, as `python grpcio.py TARGET [CA CERTIFICATE KEY]`, and prints one line for each call."""

import sys

import grpc

METHOD = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"


def field(number, payload):
    length, prefix = len(payload), b""
    while length > 127:
        prefix, length = prefix + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + prefix + bytes([length]) + payload


def request(value):
    entry = field(1, b"api_key") + field(2, value)
    return field(1, b"peeker") + field(2, field(1, entry))


def connect(options, **how):
    if len(sys.argv) == 2:
        return grpc.insecure_channel(sys.argv[1], options=options, **how)
    ca, certificate, key = (open(path, "rb").read() for path in sys.argv[2:])
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    # Otherwise an authority that a call sets would have to be in the certificate.
    options = [*options, ("grpc.ssl_target_name_override", "localhost")]
    return grpc.secure_channel(sys.argv[1], credentials, options=options, **how)


def call(name, value=b"pk_live_1", method=METHOD, options=(), compression=None, **how):
    with connect(options=options, compression=compression) as channel:
        unary = channel.unary_unary(method)
        try:
            # The first field of an answer is its code: 1 is OK, 2 is OVER_LIMIT.
            answer = unary(request(value), timeout=60, wait_for_ready=True, **how)
            print(f"{name}: {['', 'OK', 'OVER_LIMIT'][answer[1]]}")
        except grpc.RpcError as error:
            print(f"{name}: {error.code().name}")


UNBOUNDED = [("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 16 << 20)]
call("plain")
call("gzip", compression=grpc.Compression.Gzip, value=b"x" * 10_000)
call("deflate", compression=grpc.Compression.Deflate, value=b"x" * 10_000)
call("authority", options=[("grpc.default_authority", "ns/ratelimit/8081")])
call("metadata of 1 MiB", options=UNBOUNDED, metadata=[("x-tenant", "x" * (1 << 20))])
call("message of 3 MiB", options=UNBOUNDED, value=b"x" * (3 << 20))
call("message of 5 MiB", options=UNBOUNDED, value=b"x" * (5 << 20))
call("gzip bomb", options=UNBOUNDED, compression=grpc.Compression.Gzip, value=b"x" * (64 << 20))
call("v2", method="/envoy.service.ratelimit.v2.RateLimitService/ShouldRateLimit")
